"""The rows of a backtest: all that a model has logged in a time, or what a source has of it.

What always holds: rows of outages are left out, as they are of every training, and it is said when
they were; more rows than one backtest reads are counted before they are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlreg.controller.domain.backtest import TooLittleHistoryError
from mlreg.controller.domain.batches import ENTITY, LABEL, PREDICTION_ID, TIME, WEIGHT
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.joins import LABEL_TIME
from mlreg.controller.services import logged_rows, snapshot_rows
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.services.training import NoFeaturesError
from mlreg.controller.store import feedback
from mlreg.controller.store.policies import waiting_since
from mlreg.controller.store.readings import outage_intervals
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.domain.contracts import FeatureContract
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

MAX_ROWS = 5_000_000
OWN = (PREDICTION_ID, TIME, LABEL, WEIGHT, ENTITY)


class HistoryTooLargeError(RefusedError):
    """There are more rows than one backtest reads."""

    code = "history_too_large"
    hint = "Name a shorter time by --from and --to."

    def __init__(self, *, rows: int) -> None:
        super().__init__(f"{rows:,} rows were logged in that time; {MAX_ROWS:,} is the most")


@dataclass(frozen=True, slots=True, eq=False)
class ReadRows:
    """The rows that were read, and when a feed was down between them."""

    table: pa.Table
    outages: tuple[Interval, ...]


def read_rows(
    attempt: Attempt, model: Model, contract: FeatureContract | None, payload: Mapping[str, Any]
) -> ReadRows:
    """Return the rows that a backtest's job names.

    Raises:
        TooLittleHistoryError: there are none.
        HistoryTooLargeError: there are too many.
        NoFeaturesError: it is not known which columns are features.
    """
    schema = catalog.feature_schema_of(model) or contract
    if schema is None:
        raise NoFeaturesError(model=model.name)
    window = _window(attempt, payload)
    with attempt.database.reading() as session:
        down = tuple(outage_intervals(session, catalog.id_of(model), window))
    rule = parse_policy(json.dumps(payload["base"])).data
    source = freeze_source(attempt.sources, model, rule, window, now=attempt.clock.now())
    if source is None:
        known_by = _known_by(attempt, payload)
        table = _logged(attempt, model, window, known_by, [*OWN, LABEL_TIME, *schema.names])
    else:
        body = SnapshotBody.of_source(model.name, source, window, down)
        table = snapshot_rows.read_rows(attempt.sources, model, body, [*OWN, *schema.names])
    if table.num_rows > MAX_ROWS:
        raise HistoryTooLargeError(rows=table.num_rows)
    return ReadRows(table, down)


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


def _logged(
    attempt: Attempt, model: Model, window: Interval, known_by: datetime, columns: Sequence[str]
) -> pa.Table:
    with attempt.database.reading() as session:
        body = logged_rows.select_rows(session, model, window, known_by)
        rows = feedback.count_rows(session, body.predictions)
    if rows > 2 * MAX_ROWS:  # those of its first and last segments may lie outside
        raise HistoryTooLargeError(rows=rows)
    try:
        table = logged_rows.read_rows(attempt.store, body, columns)
    except KeyError as error:
        cause = f"no row of that time has the feature {error.args[0]!r}"
        raise TooLittleHistoryError(cause=cause) from error
    if table is None:
        cause = f"nothing was logged from {window.start.isoformat()} to {window.end.isoformat()}"
        raise TooLittleHistoryError(cause=cause)
    return table
