"""Model cards: made from the record of a version when they are asked for; notes are kept.

What always holds: a note is only ever added, together with its entry in the audit log, which names
its digest; a secret of a known form is refused; a card is never stored, so it is never stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.registry.domain.cards import (
    Card,
    CardAttestation,
    CardEvaluation,
    CardFeature,
    DataPart,
    Note,
    checked_note,
    evaluation_of,
    find_limits,
    newest_notes,
)
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.flavours import is_unsafe
from mlreg.registry.domain.secrets import refuse_secrets
from mlreg.registry.services import attestations, audit
from mlreg.registry.services.catalog import (
    find_feature_contract,
    get_model,
    get_version,
    id_of,
)
from mlreg.registry.store import cards as rows
from mlreg.registry.store.database import ReadSession
from mlreg.registry.store.tables import CardNote, Model, Version

if TYPE_CHECKING:
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import WriteSession

SHOWN_DECISIONS = 5
Times = tuple[datetime, datetime]
FindTimes = Callable[[ReadSession, Sequence[str]], Mapping[str, Times]]
"""Finds the times of the rows of snapshots, by digest; what is no snapshot here is left out."""


@dataclass(frozen=True, slots=True)
class NoteText:
    """A note to be written; `version` None is for every version of the model."""

    model: str
    version: int | None
    section: str
    text: str


def add_note(session: WriteSession, note: NoteText, *, actor: Actor, now: datetime) -> Note:
    """Write a note; an empty text takes back the one before it.

    Raises:
        ModelNotFoundError, VersionNotFoundError: there is nothing to write it about.
        InvalidNoteError: there is no such section, or the text is too long.
        SecretFoundError: a token of a known form is in it.
    """
    section, text = checked_note(note.section, note.text)
    refuse_secrets({"the note": text})
    model = get_model(session, note.model)
    if note.version is not None:
        get_version(session, model, note.version)
    row = CardNote(
        model_id=id_of(model),
        number=note.version,
        section=section,
        text=text,
        at=now,
        actor=actor.name,
    )
    session.add(row)
    session.flush()
    about = f"model:{model.name}" if note.version is None else f"version:{model.name}/{row.number}"
    audit.record(
        session,
        action="card.note",
        subject=about,
        actor=actor,
        body={"section": section, "text": digest_of(text.encode()), "letters": len(text)},
        now=now,
    )
    return _note(row)


def list_notes(session: ReadSession, model: str, section: str | None = None) -> list[Note]:
    """Return all that was ever written into the cards of a model, newest first.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    found = get_model(session, model)
    return [_note(row) for row in rows.list_notes(session, id_of(found), section=section)]


def make_card(
    session: ReadSession, model: str, number: int, find_times: FindTimes | None = None
) -> Card:
    """Return the card of a version as of now.

    Raises:
        ModelNotFoundError, VersionNotFoundError: there is no such version.
    """
    found = get_model(session, model)
    version = get_version(session, found, number)
    notes = [_note(row) for row in rows.list_notes(session, id_of(found))]
    card = Card(
        model=found.name,
        number=version.number,
        task=found.task,
        description=version.description or found.description,
        facts=dict(_facts(found, version)),
        notes=newest_notes(notes, version.number),
        data=data_of(session, version, find_times),
        train_start=version.train_start,
        train_end=version.train_end,
        features=_features(session, version),
        hyperparameters=version.hyperparameters or {},
        seeds=version.seeds or {},
        metrics=version.metrics,
        evaluations=_evaluations(session, version),
        attestations=_attestations(session, version),
        limits=(),
    )
    dirty = bool(version.git and version.git.get("dirty"))
    limits = find_limits(card, version.missing, unsafe=is_unsafe(version.flavour), dirty=dirty)
    return replace(card, limits=tuple(limits))


def _facts(model: Model, version: Version) -> Iterator[tuple[str, str]]:
    git = version.git or {}
    target = model.target_contract
    named: list[tuple[str, Any]] = [
        ("Task", model.task),
        ("Classes", ", ".join(map(str, target.get("classes") or ()))),
        ("Positive class", target.get("positive_class")),
        ("Registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}"),
        ("Trained by", version.trained_by),
        ("Trainer", version.trainer),
        ("Lane", version.lane),
        ("Parent", version.parent),
        ("Run", version.run_id),
        ("Kind of file", version.flavour),
        ("Commit", git.get("commit")),
        ("Repository", git.get("remote")),
        ("Seconds", version.duration_seconds),
        ("Peak memory (bytes)", version.peak_memory_bytes),
        ("Artifact", version.manifest_digest),
        ("Feature contract", version.feature_contract),
    ]
    yield from ((name, str(value)) for name, value in named if value not in {None, ""})


def data_of(
    session: ReadSession, version: Version, find_times: FindTimes | None
) -> tuple[DataPart, ...]:
    """Return every part of the data of a version, with names and times where they are known."""
    digests = version.snapshots or []
    times = find_times(session, digests) if find_times is not None and digests else {}
    named = {str(item["digest"]): item for item in version.data or ()}
    parts = []
    for digest in digests:
        item = named.get(digest, {})
        start, end = times.get(digest, (None, None))
        kind = str(item.get("kind", "snapshot"))
        name = str(item.get("name", kind))
        parts.append(DataPart(name, digest, kind, item.get("rows"), start, end))
    return tuple(parts)


def _features(session: ReadSession, version: Version) -> tuple[CardFeature, ...]:
    contract = find_feature_contract(session, version)
    return tuple(
        CardFeature(
            feature.name,
            feature.dtype,
            None if feature.categories is None else len(feature.categories),
            feature.at_risk,
        )
        for feature in (contract.features if contract else ())
    )


def _evaluations(session: ReadSession, version: Version) -> tuple[CardEvaluation, ...]:
    return tuple(
        CardEvaluation(
            decision=decision.id or 0,
            at=decision.created_at,
            environment=decision.environment,
            verdict=decision.verdict,
            champion=decision.champion,
            **evaluation_of(decision.evidence),
        )
        for decision in rows.list_decisions_on(session, version, SHOWN_DECISIONS)
    )


def _attestations(session: ReadSession, version: Version) -> tuple[CardAttestation, ...]:
    return tuple(
        CardAttestation(one.kind, one.outcome, one.at, one.actor)
        for one in attestations.list_attestations(session, version)
    )


def _note(row: CardNote) -> Note:
    return Note(row.section, row.text, row.actor, row.at, row.number)
