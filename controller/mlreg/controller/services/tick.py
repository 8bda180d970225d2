"""One beat of the controller: drain what waits, read what closed, judge what is due.

What always holds: a tick is idempotent, and two at once are harmless: each policy is taken under
its row lock, firings are unique by (policy, moment), jobs by their dedupe key. A policy that fails
does not stop the others.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from mlreg.client.edge import Edge
from mlreg.controller.services import beat, following, jobs, shares, unjudged, watching
from mlreg.controller.services.beat import tick_policy
from mlreg.controller.services.draining import due_models
from mlreg.controller.services.shares import BREAKS_OFF, judge_many
from mlreg.controller.services.tick_report import TickReport
from mlreg.controller.store import policies as rows
from mlreg.controller.store.installation import is_virtual

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.services.assessor import Assessor
    from mlreg.controller.services.leadership import Reign
    from mlreg.controller.services.unjudged import Failing
    from mlreg.registry.store.database import Database, WriteSession

FEW = 8
"""Fewer policies than this are quicker taken one by one."""

log = logging.getLogger("mlreg.controller")


def tick(
    database: Database,
    *,
    now: datetime,
    reign: Reign | None = None,
    assessor: Assessor | None = None,
    failing: Failing | None = None,
) -> TickReport:
    """Do everything that is due by `now` (business time).

    Under a reign, each of its transactions checks first that it lasts, and an assessor may judge a
    share of the policies beside this process; `failing` is what it keeps of policies that fail.

    Raises:
        LeadershipLostError: it does not; what is left is another controller's.
        DatabaseUnreachableError: the rest of the tick is the next one's.
    """
    report = TickReport()
    following.wake(database, now)
    _have_drained(database, now, report, reign)
    with database.reading() as session:
        due = rows.due_states(session, now)
    closed: Sequence[int] = ()
    if len(due) >= FEW:
        together = judge_many(database, due, now, reign, assessor)
        report.judged += together.judged
        report.windows += together.windows
        due, closed = together.left, sorted(together.closed)
    for state_id in due:
        _take_alone(database, state_id, now, report, reign)
    _read_closed(database, closed, now, report, reign)
    unjudged.tell(database, report.errors, now, reign, failing)
    watching.remind(database, now)
    return report


def _read_closed(
    database: Database,
    closed: Sequence[int],
    now: datetime,
    report: TickReport,
    reign: Reign | None,
) -> None:
    """Read the windows that closed, a few together, and judge those policies that only lacked them.

    What is more than a tick's fill is read in the next; nothing of it can be judged before.
    """
    read: list[int] = []
    rest = list(closed)
    while rest and report.windows < beat.MANY_WINDOWS:
        some = rest[: min(shares.CLOSED, beat.MANY_WINDOWS - report.windows)]
        rest = rest[len(some) :]
        done = shares.read_some(database, some, now, reign)
        report.windows += done.windows
        report.jobs += done.jobs
        read += done.read
        for state_id in done.left:
            if report.windows < beat.MANY_WINDOWS:
                _take_alone(database, state_id, now, report, reign)
    together = shares.judge_share(database, read, now, reign)
    report.judged += together.judged
    report.windows += together.windows
    for state_id in together.left:
        _take_alone(database, state_id, now, report, reign)


def _take_alone(
    database: Database, state_id: int, now: datetime, report: TickReport, reign: Reign | None
) -> None:
    if reign is not None:
        reign.keep()
    edge = Edge(partial(_tell_failed, report, state_id), but=BREAKS_OFF)
    with edge, database.writing() as session:
        tick_policy(session, state_id, now, report, reign)


def _tell_failed(report: TickReport, state_id: int, error: Exception) -> None:
    """Say that one policy failed; the others go on."""
    log.error("the policy of state %d could not be evaluated", state_id, exc_info=error)
    report.errors[state_id] = error


def _have_drained(
    database: Database, now: datetime, report: TickReport, reign: Reign | None
) -> None:
    """Ask for what waits to be drained, and make ready what waited for a budget that is free."""
    waiting = _models_to_drain(database, now)
    with database.reading() as session:
        held = jobs.any_held(session)
    if not waiting and not held:
        return
    with database.writing() as session:
        if reign is not None:
            reign.check(session)
        report.jobs += sum(_enqueue_drain(session, model_id) for model_id in waiting)
        report.jobs += jobs.release_held(session, now)


def _models_to_drain(database: Database, now: datetime) -> Sequence[int]:
    """Return the models whose batches are to be drained: all of them in virtual time."""
    with database.reading() as session:
        if is_virtual(session):
            return rows.models_with_waiting_batches(session)
    return due_models(database, now)


def _enqueue_drain(session: WriteSession, model_id: int) -> bool:
    """Ask a worker to drain a model's batches; False when one is asked already."""
    job = jobs.enqueue(
        session,
        kind="drain",
        payload={"model_id": model_id},
        dedupe_key=f"drain:{model_id}",
        lock_key=f"drain:{model_id}",
        priority=10,
    )
    return job is not None
