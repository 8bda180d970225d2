"""Model cards, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.cards import (
    CardAnswer,
    CardDocument,
    CardForm,
    NoteAnswer,
    NoteRequest,
    SectionName,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.transport import Transport


class Cards:
    """Read the cards of versions, and write into them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str, number: int) -> CardAnswer:
        """Return the card of a version as of now.

        Raises:
            NotFoundError: there is no such version.
        """
        return self._transport.get(path("models", model, "versions", number, "card"), CardAnswer)

    def document(self, model: str, number: int, form: CardForm = "markdown") -> str:
        """Return the card as Markdown or as one HTML page, in which what people wrote is inert.

        Raises:
            NotFoundError: there is no such version.
        """
        place = path("models", model, "versions", number, "card", form)
        return self._transport.get(place, CardDocument).text

    def write(
        self, model: str, section: SectionName, text: str, *, version: int | None = None
    ) -> NoteAnswer:
        """Write a note into the cards of a model, or of one version; an empty text takes it back.

        Raises:
            NotFoundError: there is no such model or version.
            InvalidError: it is too long, or a secret is in it (`secret_found`).
        """
        request = NoteRequest(section=section, text=text, version=version)
        return self._transport.post(path("models", model, "card", "notes"), request, NoteAnswer)

    def notes(self, model: str, section: SectionName | None = None) -> Sequence[NoteAnswer]:
        """Return what was ever written into the cards of a model, newest first.

        Raises:
            NotFoundError: there is no such model.
        """
        place = path("models", model, "card", "notes")
        return self._transport.get(place, Page[NoteAnswer], section=section).items
