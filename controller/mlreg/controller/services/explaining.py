"""Explaining a bad window, by a job of kind `explain`: where, by what, and in which rows.

With labels, slices are ranked by their loss (`domain/worst_slices.py`), and wrong predictions are
compared with right ones. Without, slices are ranked by how far their score has moved since the week
before, and the window is compared with that week; the answer says so plainly.

What always holds: it is a job, of bounded samples chosen by a seeded hash of the prediction id; it
changes nothing but its own outcome. That keeps values of features only if they were asked for, and
only who may read rows (`data.read`) is shown any row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.client.wire.explanations import By, Explanation
from mlreg.controller.domain.windows import DAY, WEEK, Interval, window_of
from mlreg.controller.services import draining, jobs, logged_rows
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.explained import Drawn, explain
from mlreg.controller.services.explaining_rows import scored_rows
from mlreg.controller.services.labelled_rows import shape_of
from mlreg.controller.services.losses import check_still_there
from mlreg.controller.store import answers, readings
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.services.explaining_rows import ScoredRows
    from mlreg.controller.store.tables import Job
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "explain"
PRIORITY = 90
HIDDEN = "Rows to look at are not shown: that takes the permission data.read."


class ExplanationNotFoundError(NotFoundError):
    """There is no explanation of that number."""

    code = "explanation_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no explanation {number}")


class NothingToExplainError(RefusedError):
    """There are no rows in the window, or none that can be compared with anything."""

    code = "nothing_to_explain"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"nothing to explain: {cause}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained, and how; see `ExplainRequest` for each."""

    environment: str = "production"
    start: datetime | None = None
    days: int | None = None
    by: By | None = None
    least: int | None = None
    worst: int = 10
    show: tuple[str, ...] = ()
    rows: int = 200_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation that was asked for, and what became of it."""

    number: int
    model_id: int
    environment: str
    state: str
    error: str | None
    asked_at: datetime
    found: Explanation | None


def request_explanation(
    session: WriteSession, model: Model, asked: Asked, *, actor: Actor, now: datetime
) -> int:
    """Ask for a window to be explained; return the number of the explanation.

    Raises:
        EnvironmentNotFoundError: it is not declared.
        NothingToExplainError: no window was read yet, or the model has no such feature to show.
    """
    catalog.check_environment(session, asked.environment)
    schema = catalog.feature_schema_of(model)
    unknown = [name for name in asked.show if schema is None or name not in schema.names]
    if unknown:
        raise NothingToExplainError(cause=f"the model has no feature {unknown[0]!r}")
    model_id = catalog.id_of(model)
    window = _window(session, model_id, asked)
    payload = {
        **asdict(asked),
        "model_id": model_id,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "show": list(asked.show),
    }
    number = jobs.enqueue(session, kind=KIND, payload=payload, priority=PRIORITY) or 0
    audit.record(
        session,
        action="explanation.request",
        subject=f"model:{model.name}",
        actor=actor,
        body={"explanation": number, "start": payload["start"], "end": payload["end"],
              "environment": asked.environment, "show": list(asked.show)},
        now=now,
    )  # fmt: skip
    return number


def get_explanation(session: ReadSession, number: int) -> Explained:
    """Return an explanation.

    Raises:
        ExplanationNotFoundError: there is none of that number.
    """
    job = answers.find_answer(session, KIND, number)
    if job is None:
        raise ExplanationNotFoundError(number=number)
    return _explained(job)


def list_explanations(
    session: ReadSession, model: Model, *, before: int | None = None, limit: int = 20
) -> list[Explained]:
    """Return explanations of a model, the newest first, below a number where one is given."""
    found = answers.list_answers(session, KIND, catalog.id_of(model), before, limit)
    return [_explained(job) for job in found]


def as_seen(found: Explanation | None, *, may_read_rows: bool) -> Explanation | None:
    """Return what was found, without its single rows for who may not read rows."""
    if found is None or may_read_rows or not found.worst:
        return found
    return found.model_copy(update={"worst": [], "notes": [*found.notes, HIDDEN]})


def perform(attempt: Attempt) -> None:
    """Explain the window that the job names.

    Raises:
        NothingToExplainError: there is nothing to be said of it.
        RowsLostError: rows were erased meanwhile; it looks again.
    """
    payload: dict[str, Any] = dict(attempt.lease.payload)
    window = Interval(*(datetime.fromisoformat(payload[side]) for side in ("start", "end")))
    now = attempt.clock.now()
    draining.drain_model(attempt.database, attempt.store, payload["model_id"], now=now)
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
    read: list[SnapshotBody] = []

    def draw(span: Interval) -> ScoredRows | None:
        return _draw(attempt, model, span, read)

    rows = draw(window)
    if rows is None:
        raise NothingToExplainError(cause="the window has no rows with a score")
    week = Interval(window.start - max(WEEK, window.length), window.start)
    drawn = Drawn(model, window, payload, rows, lambda: draw(week))
    found = explain(attempt, drawn)
    if found is None:
        raise NothingToExplainError(
            cause="too few rows have a label, and nothing was logged in the week before"
        )
    failpoint("explain_found")
    with attempt.finish() as session:
        check_still_there(session, payload["model_id"], read)
        attempt.outcome = found.model_dump(mode="json")


def _draw(
    attempt: Attempt, model: Model, window: Interval, read: list[SnapshotBody]
) -> ScoredRows | None:
    """Draw the scored rows of a window, all their columns; None where there are none.

    What was selected is added to `read`.
    """
    payload: dict[str, Any] = dict(attempt.lease.payload)
    with attempt.database.reading() as session:
        body = logged_rows.select_rows(session, model, window, attempt.clock.now())
    read.append(body)
    table = logged_rows.sample_rows(attempt.store, body, payload["rows"], payload["seed"])
    if table is None:
        return None
    rows = scored_rows(model.task, shape_of(model, ()).classes, table)
    return rows if len(rows) else None


def _window(session: ReadSession, model_id: int, asked: Asked) -> Interval:
    """Return the window that is asked for: as long as the days say, or as it was read."""
    start = asked.start or readings.newest_window(session, model_id, asked.environment)
    if start is None:
        raise NothingToExplainError(cause="no window was read yet; name one by its start")
    if asked.days is not None:
        return Interval(start, start + asked.days * DAY)
    return Interval(start, _end(session, model_id, asked.environment, start))


def _end(session: ReadSession, model_id: int, environment: str, start: datetime) -> datetime:
    found = readings.list_readings(
        session,
        model_id=model_id,
        environment=environment,
        monitors=["rows"],
        after=start,
        until=start + timedelta(days=92),
    )
    ends: Sequence[datetime] = [one.end for one in found if one.start == start]
    return ends[0] if ends else window_of(start, DAY).start + DAY


def _explained(job: Job) -> Explained:
    payload = job.payload
    found = None
    if job.state == "succeeded" and job.outcome is not None:
        found = Explanation.model_validate(job.outcome)
    return Explained(
        number=job.id or 0,
        model_id=payload["model_id"],
        environment=payload["environment"],
        state=job.state,
        error=job.error,
        asked_at=job.enqueued_at,
        found=found,
    )


HANDLER = Handler(perform, alert_if_dead)
