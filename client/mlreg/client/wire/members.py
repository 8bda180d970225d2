"""Controllers and workers on the wire."""

from __future__ import annotations

from pydantic import AwareDatetime

from mlreg.client.wire.base import Answer


class MemberAnswer(Answer):
    """A controller or a worker that says, or said until a while ago, that it is there.

    `there`: whether it still does. Times are the database's own.
    """

    name: str
    host: str
    version: str
    since: AwareDatetime
    seen_at: AwareDatetime
    there: bool


class ControllerAnswer(MemberAnswer):
    """A controller; `leads`: it is the one that ticks, in this epoch; else it stands by."""

    leads: bool
    epoch: int | None = None


class WorkerAnswer(MemberAnswer):
    """A worker; `doing`: kind and number of the jobs that it does at present."""

    labels: list[str]
    doing: list[str]
