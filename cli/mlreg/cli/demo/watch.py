"""What the server has on record of the model, read over the API as it grows.

What always holds: every event is told once, in the order in which it came to be; nothing is told
that the server did not say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlreg.client.client import Client
    from mlreg.client.wire.decisions import DecisionAnswer
    from mlreg.client.wire.deployments import RevisionAnswer
    from mlreg.client.wire.incidents import IncidentAnswer
    from mlreg.client.wire.policies import FiringAnswer
    from mlreg.client.wire.runs import RunAnswer

EventKind = Literal[
    "fired",
    "held",
    "cooling",
    "run",
    "decision",
    "promoted",
    "rolled back",
    "changed",
    "incident",
]
KINDS: dict[str, EventKind] = {
    "promote": "promoted",
    "policy": "promoted",
    "rollback": "rolled back",
    "guard": "rolled back",
}
NEWEST = 50


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline."""

    at: datetime
    kind: EventKind
    text: str


@dataclass
class Watch:
    """The record of one model in production, in order."""

    client: Client
    model: str
    firings: list[FiringAnswer] = field(default_factory=list)
    runs: list[RunAnswer] = field(default_factory=list)
    decisions: list[DecisionAnswer] = field(default_factory=list)
    revisions: list[RevisionAnswer] = field(default_factory=list)
    incidents: dict[int, IncidentAnswer] = field(default_factory=dict)

    def look(self) -> list[Event]:
        """Read what is new since the last look."""
        found = [*self._new_incidents(), *self._new_firings(), *self._new_runs()]
        return [*found, *self._new_revisions()]

    def _new_firings(self) -> Iterator[Event]:
        seen = self.firings[-1].id if self.firings else 0
        newest = self.client.policies.firings(self.model, limit=NEWEST).items
        for one in sorted((one for one in newest if one.id > seen), key=lambda one: one.id):
            self.firings.append(one)
            names = ", ".join(one.triggers)
            if one.run is None:
                kind: EventKind = "cooling" if one.outcome == "cooldown" else "held"
                yield Event(one.fire_at, kind, f"{names}: held back ({one.outcome})")
            else:
                yield Event(one.fire_at, "fired", f"{names} → run {one.run}")

    def _new_runs(self) -> Iterator[Event]:
        seen = self.runs[-1].number if self.runs else 0
        newest = self.client.runs.list(model=self.model, limit=NEWEST).items
        ended = (one for one in newest if one.number > seen and not one.is_open)
        for one in sorted(ended, key=lambda one: one.number):
            self.runs.append(one)
            yield Event(one.created_at, "run", _run_text(one))
            if one.decision is not None:
                decision = self.client.decisions.get(one.decision)
                self.decisions.append(decision)
                yield Event(decision.created_at, "decision", _decision_text(decision))

    def _new_revisions(self) -> Iterator[Event]:
        seen = self.revisions[-1].number if self.revisions else 0
        found = []
        for one in self.client.deployments.history(self.model):
            if one.number <= seen:
                break
            found.append(one)
        for one in reversed(found):
            self.revisions.append(one)
            yield Event(one.at, KINDS.get(one.cause, "changed"), _revision_text(one))

    def _new_incidents(self) -> Iterator[Event]:
        newest = self.client.incidents.list(model=self.model, limit=NEWEST).items
        for one in sorted(newest, key=lambda one: one.number):
            before = self.incidents.get(one.number)
            if before is not None and before.state == one.state:
                continue
            whole = self.client.incidents.get(one.number)
            self.incidents[one.number] = whole
            at = one.opened_at if one.closed_at is None else one.closed_at
            said = whole.entries[-1].line if whole.entries else one.title
            yield Event(at, "incident", f"{one.number} {one.state}: {one.title}; {said}")


def _run_text(run: RunAnswer) -> str:
    if run.state != "succeeded":
        return f"{run.number} {run.lane} {run.state}: {run.error}"
    seconds = "" if run.train_seconds is None else f" in {run.train_seconds:.1f} s"
    return f"{run.number} {run.lane}{seconds} → version {run.version}"


def _decision_text(decision: DecisionAnswer) -> str:
    against = f" against {decision.champion}" if decision.champion is not None else ""
    return f"version {decision.challenger}{against} {decision.verdict}: {decision.reason}"


def _revision_text(revision: RevisionAnswer) -> str:
    forced = ", forced" if revision.forced else ""
    reason = revision.reason
    if revision.cause == "policy":
        reason = reason.partition(":")[0]  # the decision told the rest, one line before
    why = f": {reason}" if reason else ""
    return (
        f"version {revision.champion}, revision {revision.number}"
        f" by {revision.actor} ({revision.cause}{forced}){why}"
    )
