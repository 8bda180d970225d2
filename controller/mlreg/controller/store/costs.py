"""Queries of what runs took and cost, and of the budget of all policies.

What always holds: seconds are the database's own clock, from the claim of an attempt to its end,
or to that of its lease; the price is the one that its worker was told, as it stood on the job then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import func, text
from sqlmodel import col, select

from mlreg.controller.domain.budget import Spent
from mlreg.controller.store.tables import Cost, OverallBudget, Run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from mlreg.registry.store.database import ReadSession, WriteSession

By = Literal["model", "month", "policy", "decision"]

_RECORD = text("""
    INSERT INTO cost (run_id, model_id, environment, policy, attempt, worker, seconds,
                      train_seconds, price, currency, amount, at)
    SELECT :run_id, :model_id, :environment, :policy, :attempt, job.worker, took.seconds,
           CASE
               WHEN CAST(:train_seconds AS float8) IS NULL THEN took.seconds
               WHEN EXISTS (SELECT 1 FROM cost AS before WHERE before.run_id = :run_id
                            AND before.train_seconds = :train_seconds) THEN 0
               ELSE :train_seconds
           END,
           job.price, job.currency, job.price * CAST(took.seconds AS numeric), clock_timestamp()
    FROM job
    CROSS JOIN LATERAL (
        SELECT CAST(extract(epoch FROM least(
            clock_timestamp(), CASE WHEN job.lease_token IS NULL THEN job.lease_until END
        ) - job.started_at) AS float8) AS seconds
    ) AS took
    WHERE job.id = :job_id AND job.started_at IS NOT NULL
""")
"""A training that an earlier attempt finished was paid for by that one. A worker that was lost (it
has no token any more) worked no longer than its lease, however late its job is taken back."""

_SUMS = """
    SELECT {key} AS name, cost.currency, count(DISTINCT cost.run_id) AS runs,
           sum(cost.seconds) AS seconds, sum(cost.train_seconds) AS train_seconds,
           sum(cost.amount) AS amount, count(*) FILTER (WHERE cost.amount IS NULL) AS unpriced
    FROM cost JOIN model ON model.id = cost.model_id JOIN run ON run.id = cost.run_id
    WHERE (CAST(:names AS text[]) IS NULL OR model.name = ANY(CAST(:names AS text[])))
    GROUP BY 1, 2 ORDER BY {order}, cost.currency NULLS LAST LIMIT :limit
"""
_KEYS: dict[By, tuple[str, str]] = {
    "model": ("model.name", "sum(cost.seconds) DESC"),
    "month": ("to_char(cost.at AT TIME ZONE 'UTC', 'YYYY-MM')", "1 DESC"),
    "policy": (
        "CASE WHEN cost.policy THEN model.name || '@' || cost.environment ELSE 'by hand' END",
        "sum(cost.seconds) DESC",
    ),
    "decision": (
        "coalesce(CAST(run.decision_id AS text), 'none')",
        "max(run.decision_id) DESC NULLS LAST",
    ),
}
_OF_RUNS = text("""
    SELECT run_id, currency, 1, sum(seconds), sum(train_seconds), sum(amount),
           count(*) FILTER (WHERE amount IS NULL)
    FROM cost WHERE run_id = ANY(:runs) GROUP BY run_id, currency ORDER BY run_id, currency
""")
_NOW = text("SELECT clock_timestamp()")


class Sum(NamedTuple):
    """What some runs took and cost, in one currency (None: they were not priced).

    A run with attempts in several currencies, or months, is one of the `runs` of each.
    """

    name: str
    currency: str | None
    runs: int
    seconds: float
    train_seconds: float
    amount: Decimal | None
    unpriced: int


def record(session: WriteSession, values: Mapping[str, Any]) -> None:
    """Write what an attempt that ends now took and cost.

    Values: run_id, job_id, model_id, environment, policy (whether one asked), attempt,
    train_seconds (None: all of the attempt, for it failed to make anything).
    """
    session.execute(_RECORD, dict(values))


def sums(session: ReadSession, by: By, names: Collection[str] | None, limit: int) -> Sequence[Sum]:
    """Return costs summed by model, by calendar month (UTC, real time), by policy or by decision.

    Months, decisions: the newest first; models, policies: those first that took most.
    """
    key, order = _KEYS[by]
    values = {"names": None if names is None else list(names), "limit": limit}
    found = session.execute(text(_SUMS.format(key=key, order=order)), values)
    return [Sum(*row) for row in found]


def costs_of_runs(session: ReadSession, runs: Collection[int]) -> dict[int, list[Sum]]:
    """Return what each of these runs took and cost, by currency."""
    found: dict[int, list[Sum]] = {}
    for run, *rest in session.execute(_OF_RUNS, {"runs": list(runs)}):
        found.setdefault(run, []).append(Sum(str(run), *rest))
    return found


def find_budget(session: ReadSession) -> OverallBudget:
    """Return the budget of all policies."""
    return session.get_one(OverallBudget, 1)


def lock_budget(session: WriteSession) -> OverallBudget:
    """Return it as of now; whoever else would start a run waits for this transaction."""
    query = select(OverallBudget).with_for_update().execution_options(populate_existing=True)
    return session.exec(query).one()


def real_now(session: ReadSession) -> datetime:
    """Return the database's own time."""
    moment: datetime = session.execute(_NOW).scalar_one()
    return moment


Place = tuple[int, str]


def runs_started(
    session: ReadSession, since: datetime, place: Place | None, but: int
) -> list[Spent]:
    """Return when runs began (business time) after a moment, of a deployment or of all."""
    query = select(Run.started_at).where(col(Run.started_at) > since, col(Run.id) != but)
    if place is not None:
        query = query.where(Run.model_id == place[0], Run.environment == place[1])
    return [Spent(at) for at in session.exec(query).all() if at is not None]


def seconds_trained(session: ReadSession, since: datetime, place: Place | None) -> list[Spent]:
    """Return the seconds that attempts trained and when they ended (real time)."""
    query = select(Cost.at, Cost.train_seconds).where(
        col(Cost.at) > since, col(Cost.train_seconds) > 0
    )
    if place is not None:
        query = query.where(Cost.model_id == place[0], Cost.environment == place[1])
    return [Spent(at, seconds) for at, seconds in session.exec(query).all()]


def seconds_granted(session: ReadSession, place: Place | None, but: int) -> float:
    """Return how long the runs that train now may train in all."""
    query = select(func.sum(Run.granted_seconds)).where(Run.state == "running", col(Run.id) != but)
    if place is not None:
        query = query.where(Run.model_id == place[0], Run.environment == place[1])
    return float(session.exec(query).one() or 0.0)
