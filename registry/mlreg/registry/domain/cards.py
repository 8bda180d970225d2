"""A model card: what a version is for, what it was made of, how it did, and where it ends.

What always holds: everything but the notes follows from the record of the version, so two cards of
one version differ only by what people wrote meanwhile and what was judged since. The limits that
are found here are facts; the notes of people stand beside them and never in their place.
After Mitchell et al., "Model Cards for Model Reporting", 2019 (arXiv 1810.03993).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from mlreg.registry.domain.errors import InvalidError

Section = Literal["intended_use", "out_of_scope", "data", "limits", "ethics", "contact"]
SECTIONS: tuple[Section, ...] = get_args(Section)
TITLES: Mapping[str, str] = {
    "intended_use": "Intended use",
    "out_of_scope": "Out of scope",
    "data": "Data",
    "limits": "Limits",
    "ethics": "Ethics",
    "contact": "Contact",
}
MAX_NOTE = 20_000
FEW_ROWS = 1_000
WORST_SLICES = 10


class InvalidNoteError(InvalidError):
    """A note that is too long, or for a section that cards do not have."""

    code = "invalid_note"

    def __init__(self, *, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote into one section.

    Attributes:
        version: the version it is about; None: every version of the model.
    """

    section: str
    text: str
    by: str
    at: datetime
    version: int | None


@dataclass(frozen=True, slots=True)
class DataPart:
    """One part of the data; a snapshot's times are known where its rows were logged here."""

    name: str
    digest: str
    kind: str
    rows: int | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class CardFeature:
    """One input: its dtype, how many categories it has, and whether its source can fail."""

    name: str
    dtype: str
    categories: int | None
    at_risk: bool


@dataclass(frozen=True, slots=True)
class CardGate:
    """What one gate of an evaluation found."""

    gate: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class CardSlice:
    """How the model did on one slice of the rows.

    Attributes:
        gain: how much better than the champion, whatever the metric; None where nobody can say.
    """

    column: str
    value: str
    metric: str
    rows: int
    challenger: float | None
    champion: float | None
    gain: float | None


@dataclass(frozen=True, slots=True)
class CardEvaluation:
    """One decision on the version.

    Attributes:
        metrics: by metric, this version's value on the rows it was judged on.
        slices: the worst first.
    """

    decision: int
    at: datetime
    environment: str
    verdict: str
    reason: str
    champion: int | None
    rows: int | None
    first: str | None
    last: str | None
    metrics: Mapping[str, float]
    gates: tuple[CardGate, ...]
    slices: tuple[CardSlice, ...]


@dataclass(frozen=True, slots=True)
class CardAttestation:
    """What somebody found out about the version, and when."""

    kind: str
    outcome: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card of one version; `limits` are those that mlreg found by itself."""

    model: str
    number: int
    task: str
    description: str
    facts: Mapping[str, str]
    notes: tuple[Note, ...]
    data: tuple[DataPart, ...]
    train_start: datetime | None
    train_end: datetime | None
    features: tuple[CardFeature, ...]
    hyperparameters: Mapping[str, Any]
    seeds: Mapping[str, Any]
    metrics: Mapping[str, float]
    evaluations: tuple[CardEvaluation, ...]
    attestations: tuple[CardAttestation, ...]
    limits: tuple[str, ...]


def checked_note(section: str, text: str) -> tuple[str, str]:
    """Return section and text of a note as they are kept.

    Raises:
        InvalidNoteError: there is no such section, or the text is too long.
    """
    if section not in SECTIONS:
        problem = f"{section[:40]!r} is no section; sections are {', '.join(SECTIONS)}"
        raise InvalidNoteError(problem=problem)
    if len(text) > MAX_NOTE:
        raise InvalidNoteError(problem=f"a note has at most {MAX_NOTE} letters")
    return section, text.strip()


def newest_notes(notes: Sequence[Note], version: int) -> tuple[Note, ...]:
    """Return the note of each section that counts for a version: its own newest, else the model's.

    The notes come newest first; one without text takes back the one before it.
    """
    found: dict[tuple[str, bool], Note] = {}
    for note in reversed(notes):
        if note.version in {None, version}:
            found[note.section, note.version is None] = note
    counted = [
        next((found[key] for key in ((section, False), (section, True)) if _has_text(found, key)),
             None)
        for section in SECTIONS
    ]  # fmt: skip
    return tuple(note for note in counted if note is not None)


def evaluation_of(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card shows of a decision's evidence; what is not there is left out."""
    window = evidence.get("window") or {}
    gates = [gate for gate in evidence.get("gates") or () if isinstance(gate, Mapping)]
    return {
        "reason": str(evidence.get("reason", "")),
        "rows": evidence.get("rows"),
        "first": window.get("first"),
        "last": window.get("last"),
        "metrics": _numbers((evidence.get("metrics") or {}).get("challenger")),
        "gates": tuple(
            CardGate(str(one.get("gate")), str(one.get("outcome")), str(one.get("reason")))
            for one in gates
        ),
        "slices": tuple(sorted(_slices(gates), key=_gain)[:WORST_SLICES]),
    }


def find_limits(card: Card, missing: Sequence[str], *, unsafe: bool, dirty: bool) -> Iterator[str]:
    """Yield what the record itself says against the version."""
    if missing:
        yield f"Registered without {', '.join(missing)}: that part of its origin is not known."
    if dirty:
        yield "The working tree had uncommitted changes: its commit does not tell all of its code."
    if unsafe:
        yield "Loading it can run code (a pickle): no server loads it."
    at_risk = [feature.name for feature in card.features if feature.at_risk]
    if at_risk:
        yield f"It leans on sources that can fail: {', '.join(at_risk)}."
    yield from _limits_of_evaluations(card.evaluations)


def _limits_of_evaluations(evaluations: Sequence[CardEvaluation]) -> Iterator[str]:
    if not evaluations:
        yield "No decision was made on it here: its metrics are those of whoever registered it."
        return
    newest = evaluations[0]
    if newest.verdict != "accepted":
        yield f"The newest decision on it (decision {newest.decision}) is {newest.verdict}."
    if newest.rows is not None and newest.rows < FEW_ROWS:
        yield f"It was judged on {newest.rows} rows only."
    failed = [gate.gate for gate in newest.gates if gate.outcome != "pass"]
    if failed:
        yield f"Gates that it did not pass: {', '.join(failed)}."


def _slices(gates: Sequence[Mapping[str, Any]]) -> Iterator[CardSlice]:
    for gate in gates:
        evidence = gate.get("evidence") or {}
        for one in evidence.get("slices") or ():
            yield CardSlice(
                column=str(one.get("column")),
                value=str(one.get("value")),
                metric=str(evidence.get("metric", "")),
                rows=int(one.get("rows") or 0),
                challenger=one.get("challenger"),
                champion=one.get("champion"),
                gain=(one.get("gain") or {}).get("estimate"),
            )


def _gain(one: CardSlice) -> float:
    return 0.0 if one.gain is None else one.gain


def _numbers(found: object) -> dict[str, float]:
    if not isinstance(found, Mapping):
        return {}
    return {str(name): value for name, value in found.items() if isinstance(value, int | float)}


def _has_text(found: Mapping[tuple[str, bool], Note], key: tuple[str, bool]) -> bool:
    return key in found and bool(found[key].text)
