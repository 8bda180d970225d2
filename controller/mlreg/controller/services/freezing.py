"""Freezing a source because somebody asked for a snapshot of it: by a worker, as it may take long.

What always holds: who names a source in a request may write policies, for that is what it amounts
to; whoever may freeze snapshots may freeze what the policy names already. It is a job, and its
outcome names the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.sources import InvalidSourceError
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.policies import get_policy
from mlreg.controller.services.sourcing import freeze_source, keep_source
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.readings import outage_intervals
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession, WriteSession

KIND = "freeze"
PRIORITY = 90


class FreezeNotFoundError(NotFoundError):
    """There is no freeze of that number."""

    code = "freeze_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no freeze {number}")


class NoSourceError(RefusedError):
    """The policy takes its rows from the feedback log."""

    code = "no_source"
    hint = "Leave the source out, and the feedback log is frozen."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"the policy of {model!r} in {environment!r} names no source")


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze that was asked for, and what became of it.

    Attributes:
        snapshot: the digest of the snapshot that it made.
    """

    number: int
    model: str
    state: str
    error: str | None
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class FreezeRequest:
    """Which rows of a source are to be frozen for a model."""

    model: Model
    data: DataRule
    span: Interval
    excluded: Sequence[Interval] = ()


def read_rule(form: Mapping[str, Any]) -> DataRule:
    """Return the rule that a request spells as a policy does.

    Raises:
        InvalidSourceError: it names no source, or a key of it is wrong.
    """
    try:
        rule = DataRule.model_validate(form)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise InvalidSourceError(problem=f"{where}: {problem}" if where else problem) from error
    if rule.source_name is None:
        raise InvalidSourceError(problem="the feedback log is frozen without naming a source")
    return rule


def rule_of_policy(session: ReadSession, model: Model, environment: str) -> DataRule:
    """Return the rule of a policy that names a source.

    Raises:
        PolicyNotFoundError: there is no policy.
        NoSourceError: it takes its rows from the feedback log.
    """
    data = get_policy(session, model.name, environment).policy.data
    if data.source_name is None:
        raise NoSourceError(model=model.name, environment=environment)
    return data


def request_freeze(
    session: WriteSession, request: FreezeRequest, *, actor: Actor, now: datetime
) -> int:
    """Ask for a snapshot of a source; return the number of the freeze."""
    model, span = request.model, request.span
    number = jobs.enqueue(
        session,
        kind=KIND,
        payload={
            "model_id": catalog.id_of(model),
            "data": request.data.model_dump(mode="json"),
            "range": _form(span),
            "excluded": [_form(one) for one in request.excluded],
            "actor": actor.name,
        },
        lock_key=f"{KIND}:{model.id}",
        priority=PRIORITY,
    )
    name = request.data.source_name
    audit.record(
        session,
        action="snapshot.request",
        subject=f"model:{model.name}",
        actor=actor,
        body={"freeze": number, "source": None if name is None else name.spelt, **_form(span)},
        now=now,
    )
    return number or 0


def get_freeze(session: ReadSession, number: int) -> Freeze:
    """Return a freeze.

    Raises:
        FreezeNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise FreezeNotFoundError(number=number)
    model = model_of(session, job.payload["model_id"]).name
    return Freeze(number, model, job.state, job.error, (job.outcome or {}).get("snapshot"))


def perform(attempt: Attempt) -> None:
    """Freeze what the job names."""
    payload: Mapping[str, Any] = attempt.lease.payload
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
    data = DataRule.model_validate(payload["data"])
    span, now = _interval(payload["range"]), attempt.clock.now()
    source = freeze_source(attempt.sources, model, data, span, now=now)
    if source is None:
        raise InvalidSourceError(problem="the feedback log is not frozen by a worker")
    attempt.check()
    actor = Actor(name=cast("str", payload["actor"]), kind="service", role="controller")
    with attempt.finish() as session:
        down = outage_intervals(session, catalog.id_of(model), span)
        excluded = [*down, *(_interval(one) for one in payload["excluded"])]
        body = SnapshotBody.of_source(model.name, source, span, excluded)
        kept = keep_source(session, attempt.sources, model, body, actor=actor, now=now)
        attempt.outcome = {"snapshot": kept.digest}


def _form(span: Interval) -> dict[str, str]:
    return {"start": span.start.isoformat(), "end": span.end.isoformat()}


def _interval(form: Mapping[str, str]) -> Interval:
    return Interval(datetime.fromisoformat(form["start"]), datetime.fromisoformat(form["end"]))


HANDLER = Handler(perform, alert_if_dead)
