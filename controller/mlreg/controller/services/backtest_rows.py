"""The rows of a backtest: all that a model has logged in a time, or what a source has of it.

What always holds: the first attempt freezes them on the job, and those that follow read the same,
whatever was logged, written into the source or promoted meanwhile; only where some of them are gone
(erased, expired, a file of a source written anew) they are frozen anew. Rows of outages are left
out, as they are of every training, and it is said when they were; more rows than one backtest reads
are counted before they are read.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mlreg.controller.domain.backtest import TooLittleHistoryError
from mlreg.controller.domain.batches import ENTITY, LABEL, PREDICTION_ID, TIME, WEIGHT
from mlreg.controller.domain.losses import SnapshotLostError
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.joins import LABEL_TIME
from mlreg.controller.services import draining, leases, logged_rows, snapshot_rows
from mlreg.controller.services.judging_run import find_rivals
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.services.training import NoFeaturesError
from mlreg.controller.sources.errors import SourceFileError
from mlreg.controller.store import feedback
from mlreg.controller.store.policies import waiting_since
from mlreg.controller.store.readings import outage_intervals
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

MAX_ROWS = 5_000_000
OWN = (PREDICTION_ID, TIME, LABEL, WEIGHT, ENTITY)
FROZEN = "frozen"
"""The key of a job's payload under which the first attempt keeps what it found."""

log = logging.getLogger("mlreg.worker")


class HistoryTooLargeError(RefusedError):
    """There are more rows than one backtest reads."""

    code = "history_too_large"
    hint = "Name a shorter time by --from and --to."

    def __init__(self, *, rows: int) -> None:
        super().__init__(f"{rows:,} rows were logged in that time; {MAX_ROWS:,} is the most")


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a backtest replays: its rows, and the champion's contract if there was one."""

    body: SnapshotBody
    contract: FeatureContract | None

    def to_json(self) -> dict[str, object]:
        """Return what `from_json` reads."""
        contract = None if self.contract is None else self.contract.to_document()
        return {"rows": self.body.to_json(), "contract": contract}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Frozen:
        """Read what `to_json` wrote."""
        contract = form["contract"]
        return cls(
            SnapshotBody.from_json(form["rows"]),
            None if contract is None else FeatureContract.from_json(contract),
        )


def read_rows(attempt: Attempt, model: Model, environment: str) -> tuple[Frozen, pa.Table]:
    """Return the rows that a backtest's job names, as the first attempt found them.

    Raises:
        TooLittleHistoryError: there are none.
        HistoryTooLargeError: there are too many.
        NoFeaturesError: it is not known which columns are features.
    """
    kept = cast("Mapping[str, Any] | None", attempt.lease.payload.get(FROZEN))
    if kept is not None:
        frozen = Frozen.from_json(kept)
        try:
            return frozen, _read(attempt, model, frozen)
        except (SnapshotLostError, BlobNotFoundError, SourceFileError) as error:
            log.warning("backtest %d is frozen anew: %s", attempt.lease.job_id, error)
    frozen = _freeze(attempt, model, environment)
    with attempt.effect() as session:
        leases.add_to_payload(session, attempt.lease, {FROZEN: frozen.to_json()})
    return frozen, _read(attempt, model, frozen)


def _freeze(attempt: Attempt, model: Model, environment: str) -> Frozen:
    payload: Mapping[str, Any] = attempt.lease.payload
    draining.drain_model(
        attempt.database, attempt.store, catalog.id_of(model), now=attempt.clock.now()
    )
    window = _window(attempt, payload)
    rule = parse_policy(json.dumps(payload["base"])).data
    source = freeze_source(attempt.sources, model, rule, window, now=attempt.clock.now())
    with attempt.database.reading() as session:
        contract = _contract(session, model, environment)
        if source is None:
            body = logged_rows.select_rows(session, model, window, _known_by(attempt, payload))
        else:
            down = outage_intervals(session, catalog.id_of(model), window)
            body = SnapshotBody.of_source(model.name, source, window, down)
    return Frozen(body, contract)


def _contract(session: ReadSession, model: Model, environment: str) -> FeatureContract | None:
    champion = find_rivals(session, model, environment).champion
    if champion is None:
        return None
    return catalog.find_feature_contract(session, catalog.get_version(session, model, champion))


def was_logged(session: ReadSession, model_id: int) -> bool:
    """Whether anything was logged, in the log or on its way there."""
    return waiting_since(session, model_id) is not None or _first(session, model_id) is not None


def _first(session: ReadSession, model_id: int) -> datetime | None:
    return feedback.first_time(session, model_id, "predictions")


def _window(attempt: Attempt, payload: Mapping[str, Any]) -> Interval:
    """Return from when to when rows are read; everything that was logged is in the log now."""
    end = datetime.fromisoformat(payload["end"])
    if payload["start"] is not None:
        return Interval(datetime.fromisoformat(payload["start"]), end)
    with attempt.database.reading() as session:
        first = _first(session, payload["model_id"])
    if first is None or first >= end:
        raise TooLittleHistoryError(cause=f"nothing was logged before {end.isoformat()}")
    return Interval(first, end)


def _known_by(attempt: Attempt, payload: Mapping[str, Any]) -> datetime:
    """Return when it was asked for: labels that came later are not known in any attempt."""
    asked = payload.get("known_by")
    return attempt.clock.now() if asked is None else datetime.fromisoformat(asked)


def _read(attempt: Attempt, model: Model, frozen: Frozen) -> pa.Table:
    schema, body = catalog.feature_schema_of(model) or frozen.contract, frozen.body
    if schema is None:
        raise NoFeaturesError(model=model.name)
    own = OWN if body.source is not None else (*OWN, LABEL_TIME)
    _check_count(attempt, body)
    try:
        table = snapshot_rows.read_rows(attempt.sources, model, body, [*own, *schema.names])
    except KeyError as error:
        cause = f"no row of that time has the feature {error.args[0]!r}"
        raise TooLittleHistoryError(cause=cause) from error
    if table.num_rows > MAX_ROWS:
        raise HistoryTooLargeError(rows=table.num_rows)
    return table


def _check_count(attempt: Attempt, body: SnapshotBody) -> None:
    """Refuse no logged rows, or too many, before they are read."""
    if body.source is not None:
        return
    if not body.predictions:
        times = f"from {body.range.start.isoformat()} to {body.range.end.isoformat()}"
        raise TooLittleHistoryError(cause=f"nothing was logged {times}")
    with attempt.database.reading() as session:
        rows = feedback.count_rows(session, body.predictions)
    if rows > 2 * MAX_ROWS:  # those of its first and last segments may lie outside
        raise HistoryTooLargeError(rows=rows)
