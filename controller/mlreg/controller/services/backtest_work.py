"""The work of a backtest's job: its rows read, replayed in a child, what was found kept on the job.

What always holds: every attempt replays the same rows (`backtest_rows`), with the labels that were
known when it was asked for; what an attempt has trained the next one finds (`backtest_kept`). A
database that is away for a moment ends no backtest: how far it is is told by the next line.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from mlreg.controller.executors.executor import Limits
from mlreg.controller.removal import remove_folder
from mlreg.controller.services import leases
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.backtest_kept import open_kept
from mlreg.controller.services.backtest_rows import read_rows
from mlreg.controller.services.run_folder import ChildCall, call_child, open_folder, write_rows
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlreg.controller.services.backtest_rows import Frozen
    from mlreg.registry.store.tables import Model

ENTRY = "mlreg.controller.services.backtest_child:backtest"
ROWS = "rows.parquet"
SLACK_SECONDS = 300.0
DONE = re.compile(r"(\d+) of (\d+) policies")
"""What a line of the child says of how far it is."""

log = logging.getLogger("mlreg.worker")


def perform(attempt: Attempt) -> None:
    """Replay the history that the job names.

    Raises:
        TooLittleHistoryError, HistoryTooLargeError: too few rows, or too many.
        NoFeaturesError: it is not known which columns are features.
        ChildRefusedError, ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    payload: dict[str, Any] = dict(attempt.lease.payload)
    _tell(attempt, ["reading the rows"])  # not how far the attempt before this one came
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
    frozen, table = read_rows(attempt, model, payload["environment"])
    with open_folder(attempt, f"backtest-{attempt.lease.job_id}") as folder:
        write_rows(folder, ROWS, table)
        job = _job(model, frozen, payload)
        kept = open_kept(attempt.folder.parent, attempt.lease.job_id, folder / ROWS, job)
        found = _replay(attempt, folder, {**job, "kept": str(kept)})
    with attempt.finish():
        attempt.outcome = {"found": found}
    remove_folder(kept)


def _job(model: Model, frozen: Frozen, payload: dict[str, Any]) -> dict[str, Any]:
    contract, outages = frozen.contract, frozen.body.excluded
    return {
        "format": 1,
        "data": [ROWS],
        "target": catalog.target_contract_of(model).to_json(),
        "schema": model.feature_schema,
        "contract": None if model.feature_schema or contract is None else contract.to_document(),
        "outages": [[one.start.isoformat(), one.end.isoformat()] for one in outages],
        **{key: payload[key] for key in ("base", "grid", "metric", "seed", "seconds")},
    }


def _replay(attempt: Attempt, folder: Path, job: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    seconds = float(job["seconds"]) + SLACK_SECONDS
    limits = Limits(wall_seconds=seconds, cpu_seconds=int(4 * seconds))
    call = ChildCall(ENTRY, job, lambda lines: _tell(attempt, lines), limits, writes=(job["kept"],))
    return call_child(attempt, folder, call).result["found"]


def _tell(attempt: Attempt, lines: Sequence[str]) -> None:
    """Say how far it is, to who asks; there may be nothing new.

    Raises:
        LeaseLostError: the attempt is over.
    """
    if not lines:
        return
    told = DONE.match(lines[-1])
    share = int(told[1]) / int(told[2]) if told else 0.0
    try:
        leases.note(attempt.database, attempt.lease, {"progress": lines[-1], "share": share})
    except DatabaseUnreachableError as error:
        log.warning("backtest %d: nobody is told %r: %s", attempt.lease.job_id, lines[-1], error)


HANDLER = Handler(perform, alert_if_dead)
