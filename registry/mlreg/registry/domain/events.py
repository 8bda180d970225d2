"""What others can be told of: every topic, when it is sent, and how it is put into words.

What always holds: an event is of a change that is committed; its body names the model it is about,
or null; bodies gain fields and lose none. What somebody must get up for is paged once (as an
incident, corrupt bytes, a broken log), and not again by what led to it. A `quiet` event is for
machines: people are told the same in other words, or asked not to be. The page
`docs/reference/events.md` is held against this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from typing_extensions import override

Paging = Literal["no", "trigger", "acknowledge", "resolve"]
Severity = Literal["critical", "error", "warning", "info"]
LOUDEST_FIRST: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class EventKind:
    """One topic.

    Attributes:
        topic: `noun.what_happened`.
        when: when it is sent, for the reference.
        line: one line for people; `{field}` of the body.
        paging: what a pager does with it.
        severity: how loud, where the body does not say.
        problem: what a pager knows it by, so that the end finds its beginning.
    """

    topic: str
    when: str
    line: str
    paging: Paging = "no"
    severity: Severity = "info"
    problem: str = ""


_PLACE = "{model} in {environment}"
KINDS: tuple[EventKind, ...] = (
    EventKind(
        "deployment.changed",
        "a deployment has a new revision: promote, rollback, freeze, unfreeze, fallback",
        _PLACE + ": {cause} by {actor}, revision {revision}, champion {champion} (was {previous})",
    ),
    EventKind(
        "deployment.break_glass",
        "somebody promoted without the approvals that are asked for",
        _PLACE + ": {actor} broke the glass to promote version {version}: {reason}",
    ),
    EventKind(
        "approval.requested",
        "a promotion waits for approvals",
        _PLACE + ": {actor} asks for approval of version {version}",
    ),
    EventKind(
        "approval.given",
        "somebody approved a version, or refused it",
        _PLACE + ": {actor} says {verdict} to version {version}",
    ),
    EventKind("model.archived", "a model is archived", "{model} is archived by {actor}"),
    EventKind(
        "model.deleted",
        "a model is deleted with its versions; it can be restored for 30 days",
        "{model} is deleted by {actor}: {reason}",
    ),
    EventKind(
        "model.restored",
        "a deleted or archived model is back",
        "{model} is restored by {actor}",
    ),
    EventKind(
        "version.registered",
        "a version is registered",
        "{model}/{version} is registered by {actor}",
    ),
    EventKind(
        "version.archived", "a version is archived", "{model}/{version} is archived by {actor}"
    ),
    EventKind(
        "version.deleted",
        "a version is deleted; it can be restored for 30 days",
        "{model}/{version} is deleted by {actor}: {reason}",
    ),
    EventKind(
        "version.restored",
        "a deleted or archived version is back",
        "{model}/{version} is restored by {actor}",
    ),
    EventKind(
        "blob.corrupt",
        "a scrub found bytes that are not those that were registered; once for each model",
        "blob {digest} of {model} is corrupt",
        "trigger",
        "critical",
        "blob/{digest}",
    ),
    EventKind(
        "blob.healed",
        "bytes that were corrupt are whole again",
        "blob {digest} of {model} is whole again",
        "resolve",
        "info",
        "blob/{digest}",
    ),
    EventKind(
        "incident.opened",
        "an incident is opened, by the controller or by a person",
        "incident {number} ({kind}) of " + _PLACE + ": {title}",
        "trigger",
        "error",
        "incident/{number}",
    ),
    EventKind(
        "incident.closed",
        "an incident is closed",
        "incident {number} of " + _PLACE + " is closed by {actor}",
        "resolve",
        "info",
        "incident/{number}",
    ),
    EventKind(
        "alert.opened",
        "a cause was unusual for long enough to be an alert",
        "alert {number} ({severity}) of " + _PLACE + ": {title}: {line}",
        "trigger",
        "warning",
        "alert/{number}",
    ),
    EventKind(
        "alert.escalated",
        "an open alert has become louder",
        "alert {number} of " + _PLACE + " is {severity} now: {title}: {line}",
        "trigger",
        "warning",
        "alert/{number}",
    ),
    EventKind(
        "alert.reminded",
        "an alert is open still, after a while or after its snooze",
        "alert {number} ({severity}) of " + _PLACE + ": {title}: {line}",
        "trigger",
        "warning",
        "alert/{number}",
    ),
    EventKind(
        "alert.snoozed",
        "somebody wants to hear no more of an alert for a while",
        "alert {number} of " + _PLACE + ": {line}, by {actor}",
        "acknowledge",
        "info",
        "alert/{number}",
    ),
    EventKind(
        "alert.resolved",
        "an alert is over, or somebody closed it",
        "alert {number} of " + _PLACE + " is over: {title}: {line}",
        "resolve",
        "info",
        "alert/{number}",
    ),
    EventKind(
        "controller.silent",
        "the controller has not ticked for a while; the API tells it straight away, once",
        "the controller is silent since {since}: nothing is watched, retrained or guarded",
        "trigger",
        "critical",
        "controller",
    ),
    EventKind(
        "controller.back",
        "the controller ticks again after it was silent",
        "the controller ticks again; it was silent since {since}",
        "resolve",
        "info",
        "controller",
    ),
    EventKind(
        "run.succeeded",
        "a run has ended well",
        "run {run} ({lane}) of " + _PLACE + " made version {version}",
    ),
    EventKind(
        "run.failed",
        "a run has failed, or is dead",
        "run {run} ({lane}) of " + _PLACE + " ended as {state}: {error}",
    ),
    EventKind(
        "audit.broken",
        "the daily walk along the audit log found an entry that is not as it was written",
        "audit entry {seq} is bad: {reason}",
        "trigger",
        "critical",
        "audit",
    ),
    EventKind(
        "webhook.test",
        "somebody asked for a test of one webhook; only that one is told",
        "a test of webhook {webhook} by {actor}",
        "trigger",
        "info",
        "test/{webhook}",
    ),
)
BY_TOPIC: Mapping[str, EventKind] = {kind.topic: kind for kind in KINDS}
TOPICS: tuple[str, ...] = tuple(BY_TOPIC)
TEST = "webhook.test"
SILENT = "controller.silent"


class _Fields(dict[str, Any]):
    """Fields of a body for a line of text; one that is not there is a question mark."""

    @override
    def __getitem__(self, key: str) -> object:
        value = super().__getitem__(key)
        return "nothing" if value is None else value

    def __missing__(self, key: str) -> str:
        return "?"


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its place in the order of delivery.

    Attributes:
        source: the installation that it is of.
        key: the same each time the event is delivered, and of no other one.
    """

    seq: int
    key: str
    topic: str
    body: Mapping[str, Any]
    at: datetime
    source: str

    @property
    def kind(self) -> EventKind:
        """What is known of its topic; a topic of a newer mlreg is known by its name alone."""
        return BY_TOPIC.get(self.topic) or EventKind(self.topic, "", self.topic)

    @property
    def model(self) -> str | None:
        """The model that it is about."""
        model = self.body.get("model")
        return model if isinstance(model, str) else None

    @property
    def severity(self) -> Severity:
        """How loud it is."""
        said = self.body.get("severity")
        return cast("Severity", said) if said in get_args(Severity) else self.kind.severity

    @property
    def is_quiet(self) -> bool:
        """Whether people are not told."""
        return self.body.get("quiet") is True

    @property
    def line(self) -> str:
        """The event as one line for people."""
        return self.kind.line.format_map(_Fields(self.body))

    @property
    def problem(self) -> str:
        """What a pager knows the event's problem by."""
        return f"{self.source}/{self.kind.problem.format_map(_Fields(self.body))}"
