"""Policies and firings on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, RootModel

from mlreg.client.wire.base import Answer, Request, Text, VersionNumber
from mlreg.client.wire.versions import GitForm


class ApplyRequest(Request):
    """A policy file as it is written, and the commit of the working tree it came from."""

    text: Text
    git: GitForm | None = None


class FiringAnswer(Answer):
    """One recorded time that triggers held, and what came of it."""

    id: int
    fire_at: datetime
    triggers: list[str]
    outcome: str
    readings: list[dict[str, Any]]
    run: int | None = None


class ChangeForm(Answer):
    """One key of a policy that is new, gone, or says something else.

    `key` is its path, as `triggers[2].above`; what was not there, or is not any more, is null.
    """

    key: str
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None


class CollectingAnswer(Answer):
    """Rows that are collected after a change, for a run that waits for them.

    `stage` is collecting until there are `needed` labelled rows, checking until `check_at`, and
    settled while later runs still begin at the change.
    """

    since: datetime
    asked_at: datetime
    needed: int
    rows: int
    stage: str
    check_at: datetime | None = None


class PolicyAnswer(Answer):
    """A policy: the one in force, or an earlier version of it.

    `next_due` is when the controller looks at it next; in the past while something is waited for.
    `warnings` says what keeps its runs from ending well, as far as the server can tell, and what is
    unlikely to be meant. `changes` is what an apply has changed.
    """

    model: str
    environment: str
    number: int
    enabled: bool
    source: str
    policy: dict[str, Any]
    git: dict[str, Any] | None = None
    applied_at: datetime
    applied_by: str
    next_due: datetime | None = None
    read_until: datetime | None = None
    next_lane: str | None = None
    collecting: CollectingAnswer | None = None
    warnings: list[str] = Field(default_factory=list)
    changes: list[ChangeForm] = Field(default_factory=list)


class PolicyVersionAnswer(Answer):
    """One version of a policy, in a list; `commit` is the one that its runs inherit.

    `changes` counts the keys that it changed of the version before; null: it was the first.
    """

    number: int
    applied_at: datetime
    applied_by: str
    commit: str | None = None
    changes: int | None = None


class RevertRequest(Request):
    """The version whose text is to be in force again."""

    to: VersionNumber


class PolicyDiffAnswer(Answer):
    """What is different between two versions of a policy."""

    old: int
    new: int
    changes: list[ChangeForm]


class PreviewRequest(Request):
    """A policy file that might be applied."""

    text: Text


class DueForm(Answer):
    """When a trigger is judged next; `own` is false where that is when windows close.

    `at` is empty for one that waits for events.
    """

    trigger: str
    at: list[datetime]
    own: bool


class RehearsedForm(Answer):
    """A firing that would have been, and what would have come of it."""

    fire_at: datetime
    triggers: list[str]
    outcome: str
    because: str


class UnreadForm(Answer):
    """A trigger whose readings begin after the rehearsal does; `since` null: there are none."""

    trigger: str
    since: datetime | None = None


class RehearsalForm(Answer):
    """What a policy would have done from `since` to `until`.

    `asked_until` is later than `until` where it was too much to go through. `train_seconds` is what
    its runs would have taken at what runs here usually take; null where none has ended. `firings`
    are the newest ones; `left_out` names triggers on what is not stored: calls, changes upstream;
    `unread` those that lack readings: that they did not fire says nothing.
    """

    since: datetime
    until: datetime
    asked_until: datetime
    moments: int
    runs: int
    held_back: dict[str, int]
    train_seconds: float | None = None
    run_seconds: float | None = None
    firings: list[RehearsedForm]
    left_out: list[str] = Field(default_factory=list)
    unread: list[UnreadForm] = Field(default_factory=list)


class PreviewAnswer(Answer):
    """What applying a policy file would change and do; nothing was applied.

    `number` is the one it would have: that of the policy in force if this is its very text.
    """

    model: str
    environment: str
    number: int
    in_force: int | None = None
    policy: dict[str, Any]
    changes: list[ChangeForm]
    warnings: list[str]
    due: list[DueForm]
    next_lane: str
    rehearsal: RehearsalForm


class StarterAnswer(Answer):
    """A policy file to begin with, with comments."""

    text: str


class SchemaAnswer(RootModel[dict[str, Any]]):
    """A JSON Schema, as it is."""
