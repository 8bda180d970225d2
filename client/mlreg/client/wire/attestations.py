"""Attestations and reproductions over the wire: what was found out about a version."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from mlreg.client.wire.base import Answer, Request

Outcome = Literal["identical", "differs", "not_reproducible"]
OPEN_STATES = frozenset({"queued", "running"})


class AttestationAnswer(Answer):
    """What somebody found out about a version, kept for ever; `body` has all of it."""

    number: int
    kind: str
    outcome: str
    reason: str = ""
    at: datetime
    actor: str
    body: dict[str, JsonValue] = Field(default_factory=dict)


class ReproduceRequest(Request):
    """Rebuild a version; `deep` rebuilds its whole chain of parents too, from the full one."""

    deep: bool = False


class DifferenceAnswer(Answer):
    """Where two models part first; `tree` is None for the header, `trees` is how many differ."""

    part: str
    tree: int | None
    trees: int


class ComparisonAnswer(Answer):
    """Two models tree by tree: their hashes, their numbers of trees, and where they part."""

    registered: str
    rebuilt: str
    trees: tuple[int, int]
    difference: DifferenceAnswer | None
    same_bytes: bool


class PartingAnswer(Answer):
    """One thing that is not as the record says.

    Attributes:
        where: trees, data, params, library, platform or record.
        decisive: the record does not describe the model; else it may only be the cause.
    """

    where: str
    what: str
    registered: JsonValue = None
    rebuilt: JsonValue = None
    decisive: bool = False


class FindingAnswer(Answer):
    """What the rebuild of one version says."""

    version: int
    outcome: Outcome
    reason: str = ""
    comparison: ComparisonAnswer | None = None
    partings: list[PartingAnswer] = Field(default_factory=list)
    ancestors: list[FindingAnswer] = Field(default_factory=list)


class ReproductionAnswer(Answer):
    """A reproduction that was asked for.

    Attributes:
        step, done, of: while it runs: what it does, and at which of how many versions it is.
        outcome, attestation, finding: at its end.
    """

    number: int
    model: str
    version: int
    deep: bool
    state: str
    error: str | None = None
    step: str | None = None
    done: int = 0
    of: int = 1
    outcome: Outcome | None = None
    attestation: int | None = None
    finding: FindingAnswer | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
