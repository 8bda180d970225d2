"""Routes of model cards: the card as JSON, as a document, and the notes in it.

A document travels as a text in JSON: nothing that people wrote is ever served as HTML by the API.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.cards import (
    CardAnswer,
    CardDocument,
    CardForm,
    NoteAnswer,
    NoteRequest,
    SectionName,
)
from mlreg.registry.api.context import Caller, Now, Parts, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.domain.card_texts import html_of, markdown_of
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import cards
from mlreg.registry.services.cards import NoteText

router = APIRouter(prefix="/models/{model}", tags=["cards"])
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.get("/versions/{number}/card", dependencies=[may("read")])
def show_card(model: str, number: Number, reading: Reading, parts: Parts) -> CardAnswer:
    """Show the model card of a version."""
    with reading() as session:
        card = cards.make_card(session, model, number, parts.snapshot_times)
    return CardAnswer.model_validate(card, from_attributes=True)


@router.get("/versions/{number}/card/{form}", dependencies=[may("read")])
def show_card_document(
    model: str, number: Number, form: CardForm, reading: Reading, parts: Parts
) -> CardDocument:
    """Show the model card of a version as Markdown or as one HTML page."""
    with reading() as session:
        card = cards.make_card(session, model, number, parts.snapshot_times)
    text = markdown_of(card) if form == "markdown" else html_of(card)
    return CardDocument(model=card.model, number=card.number, form=form, text=text)


@router.post(
    "/card/notes", status_code=201, response_model=NoteAnswer, dependencies=[may("version.write")]
)
def add_note(
    model: str, body: NoteRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Write a note into the cards of a model, or of one version of it."""
    note = NoteText(model, body.version, body.section, body.text)
    with writing() as session:
        return once.run(
            session,
            now,
            lambda: NoteAnswer.model_validate(
                cards.add_note(session, note, actor=caller, now=now), from_attributes=True
            ),
            status=201,
        )


@router.get("/card/notes", dependencies=[may("read")])
def list_notes(
    model: str, reading: Reading, section: SectionName | None = None
) -> Page[NoteAnswer]:
    """List what was ever written into the cards of a model, newest first (a thousand at most)."""
    with reading() as session:
        found = cards.list_notes(session, model, section)
    items = [NoteAnswer.model_validate(note, from_attributes=True) for note in found]
    return Page(items=items)
