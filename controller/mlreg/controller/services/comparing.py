"""Comparisons of rows: a sample of a window against a sample of what the champion was trained on.

Two questions: `exact` tests every feature, and all together (MMD), and answers p-values; `joint`
fits a classifier that tells the two apart, and writes what it found as the reading `domain_auc`.

What always holds: it is a job, of bounded samples chosen by a seeded hash of the prediction id; it
changes no deployment. Everything else that is known of drift comes from profiles.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlreg.controller.domain.batches import TIME
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.season import Judgement
from mlreg.controller.domain.windows import DAY, Interval, window_of
from mlreg.controller.services import (
    draining,
    jobs,
    logged_rows,
    snapshot_rows,
    source_windows,
    watching,
)
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.comparing_rows import (
    RowPair,
    exact_tests,
    tell_apart,
)
from mlreg.controller.services.looking_again import look_again_if_watched
from mlreg.controller.services.profiles import ensure_bins, find_bins
from mlreg.controller.services.run_folder import open_folder
from mlreg.controller.services.snapshots import SnapshotNotFoundError, get_snapshot
from mlreg.controller.services.verdicts import judged
from mlreg.controller.store import readings
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.serving import find_serving
from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    import pyarrow as pa

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.domain.contracts import FeatureContract
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "compare"
PRIORITY = 90
MONITOR = "domain_auc"
RULES = {MONITOR: Judgement(least=0.03)}
JOINT_ROWS = 20_000
LEAST_ROWS = 100
Question = Literal["exact", "joint"]


class ComparisonNotFoundError(NotFoundError):
    """There is no comparison of that number."""

    code = "comparison_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no comparison {number}")


class NothingToCompareError(RefusedError):
    """There are too few rows on either side, or none that can be read."""

    code = "nothing_to_compare"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"nothing to compare: {cause}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be compared: which window, which features, how many rows of each side.

    Without a start, the newest window that was read; without features, all of the contract.
    """

    question: Question
    environment: str = "production"
    start: datetime | None = None
    end: datetime | None = None
    features: tuple[str, ...] | None = None
    rows: int = JOINT_ROWS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison that was asked for, and what became of it."""

    number: int
    model_id: int
    state: str
    error: str | None
    found: dict[str, Any] | None


def request_comparison(
    session: WriteSession, model: Model, asked: Asked, *, actor: Actor, now: datetime
) -> int:
    """Ask for rows to be compared; return the number of the comparison.

    Raises:
        EnvironmentNotFoundError: it is not declared.
        NothingToCompareError: nothing serves, or it has no feature contract.
        UnknownFeatureError: the contract has no feature of that name.
    """
    catalog.check_environment(session, asked.environment)
    contract = _champion(session, model, asked.environment)[1]
    unknown = [name for name in asked.features or () if name not in contract.names]
    if unknown:
        raise NothingToCompareError(cause=f"the champion has no feature {unknown[0]!r}")
    window = _window(session, catalog.id_of(model), asked, now)
    number = _enqueue(session, catalog.id_of(model), asked, window)
    audit.record(
        session,
        action="comparison.request",
        subject=f"model:{model.name}",
        actor=actor,
        body={"comparison": number, "question": asked.question, "environment": asked.environment},
        now=now,
    )
    return number or 0


def enqueue_joint(session: WriteSession, in_force: PolicyInForce, window: Interval) -> bool:
    """Have a closed window told apart from the training rows; False when that is asked already.

    Only logged rows are: those of a source are not kept, but for what training freezes.
    """
    if source_windows.is_read(session, in_force):
        return False
    asked = Asked("joint", in_force.environment)
    key = f"{KIND}:{in_force.model_id}:{in_force.environment}:{window.start.isoformat()}"
    return _enqueue(session, in_force.model_id, asked, window, key) is not None


def is_watched(policy: Policy) -> bool:
    """Whether a trigger of a policy asks for `domain_auc`: else no window is told apart."""
    return any(isinstance(one, DriftTrigger) and one.drift == MONITOR for one in policy.triggers)


def get_comparison(session: ReadSession, number: int) -> Comparison:
    """Return a comparison.

    Raises:
        ComparisonNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise ComparisonNotFoundError(number=number)
    return Comparison(number, job.payload["model_id"], job.state, job.error, job.outcome)


def perform(attempt: Attempt) -> None:
    """Do the comparison that the job names."""
    payload: dict[str, Any] = dict(attempt.lease.payload)
    window = Interval(*(datetime.fromisoformat(payload[side]) for side in ("start", "end")))
    now = attempt.clock.now()
    draining.drain_model(attempt.database, attempt.store, payload["model_id"], now=now)
    pair = _rows(attempt, payload, window)
    if payload["question"] == "joint":
        with open_folder(attempt, f"compare-{attempt.lease.job_id}") as folder:
            found = tell_apart(attempt, folder, pair)
    else:
        found = exact_tests(pair)
    found |= {"question": payload["question"], "version": pair.version, **_sides(pair, window)}
    with attempt.finish() as session:
        if payload["question"] == "joint":
            place = (payload["model_id"], payload["environment"])
            look_again_if_watched(session, place, MONITOR, now=now)
            _write(session, place, window, found, now)
        attempt.outcome = found


def _sides(pair: RowPair, window: Interval) -> dict[str, object]:
    return {
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "rows": pair.window.num_rows,
        "reference_rows": pair.reference.num_rows,
        "seed": pair.seed,
        "left_out": [
            {"start": one.start.isoformat(), "end": one.end.isoformat()} for one in pair.left_out
        ],
    }


def _write(
    session: WriteSession,
    place: tuple[int, str],
    window: Interval,
    found: dict[str, Any],
    now: datetime,
) -> None:
    reading = WindowReading(
        MONITOR,
        "",
        window.start,
        window.end,
        found["auc"],
        found["rows"],
        low=found["low"],
        high=found["high"],
        evidence={name: found[name] for name in ("culprits", "rows", "reference_rows", "seed")},
    )
    readings.write_readings(session, place, judged(session, place, [reading], RULES), now=now)
    watching.watch(session, place, [window], now=now)


def _rows(attempt: Attempt, payload: dict[str, Any], window: Interval) -> RowPair:
    """Draw the rows of both sides."""
    limit, seed = payload["rows"], payload["seed"]
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
        version, contract, snapshot = _champion(session, model, payload["environment"])
        body = logged_rows.select_rows(session, model, window, window.end)
        bins = find_bins(session, contract.digest)
    names = [name for name in contract.names if name in (payload["features"] or contract.names)]
    columns = [TIME, *names]
    if snapshot is None:
        raise NothingToCompareError(cause=f"version {version} names no snapshot that is here")
    ours = logged_rows.sample_rows(attempt.store, body, limit, seed, columns)
    theirs = snapshot_rows.sample_rows(
        attempt.sources, model, snapshot, columns, limit=limit, seed=seed
    )
    outside = " outside its outages" if body.excluded else ""
    ours = _enough(ours, f"the window{outside}")
    theirs = _enough(theirs, "the training snapshot")
    if bins is None:
        with attempt.effect() as session:
            bins = ensure_bins(session, contract, theirs, now=attempt.clock.now())
    return RowPair(version, bins, tuple(names), theirs, ours, seed, body.excluded)


def _enough(rows: pa.Table | None, side: str) -> pa.Table:
    if rows is None or rows.num_rows < LEAST_ROWS:
        raise NothingToCompareError(cause=f"{side} has fewer than {LEAST_ROWS} rows")
    return rows


def _champion(
    session: ReadSession, model: Model, environment: str
) -> tuple[int, FeatureContract, SnapshotBody | None]:
    """Return what serves: its number, its contract, and the snapshot it was trained on."""
    serving = find_serving(session, catalog.id_of(model), environment)
    if serving is None:
        raise NothingToCompareError(cause=f"nothing serves {model.name} in {environment}")
    version = catalog.get_version(session, model, serving.champion)
    contract = catalog.find_feature_contract(session, version)
    if contract is None:
        raise NothingToCompareError(cause=f"version {version.number} has no feature contract")
    for digest in version.snapshots or ():
        try:
            return version.number, contract, get_snapshot(session, digest).body
        except SnapshotNotFoundError:
            continue
    return version.number, contract, None


def _window(session: ReadSession, model_id: int, asked: Asked, now: datetime) -> Interval:
    if asked.start is not None:
        return Interval(asked.start, asked.end or asked.start + DAY)
    start = readings.newest_window(session, model_id, asked.environment)
    if start is None:
        return window_of(now - DAY, DAY)
    found = readings.list_readings(
        session,
        model_id=model_id,
        environment=asked.environment,
        monitors=["rows"],
        after=start,
    )
    return Interval(start, found[0].end if found else start + timedelta(days=1))


def _enqueue(
    session: WriteSession, model_id: int, asked: Asked, window: Interval, key: str | None = None
) -> int | None:
    return jobs.enqueue(
        session,
        kind=KIND,
        payload={
            **asdict(asked),
            "model_id": model_id,
            "features": None if asked.features is None else list(asked.features),
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
        },
        dedupe_key=key,
        priority=PRIORITY,
    )


HANDLER = Handler(perform, alert_if_dead)
