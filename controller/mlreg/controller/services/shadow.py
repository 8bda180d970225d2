"""Shadow scoring: what a former champion would have said about rows that another one scored.

What always holds: the model's files are verified on the way out and scored in a child process with
limits, never here; the folder is gone afterwards.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from mlreg.controller.executors.executor import ChildTask, Limits, failure_line
from mlreg.controller.services.run_folder import files_of, find_source, open_folder, place_model
from mlreg.controller.services.trainer_commands import needs_network, writes_of
from mlreg.controller.trainers.scores import SCORES, read_scores
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.tables import Model

ENTRY = "mlreg.controller.trainers.child:score"
ROLE = "previous"
LIMITS = Limits(wall_seconds=300.0, cpu_seconds=600)


class ShadowScoringError(RefusedError):
    """The former champion cannot score these rows."""

    code = "shadow_scoring"

    def __init__(self, *, model: str, version: int, cause: str) -> None:
        super().__init__(f"{model}/{version} cannot score the logged rows: {cause}")


def score_rows(attempt: Attempt, model: Model, version: int, rows: pa.Table) -> NDArray[np.float64]:
    """Return the scores of a version for joined rows, in their order: of classes one column each.

    Raises:
        ShadowScoringError: the version or the rows do not allow it.
        HaltedError: the attempt was told to stop.
    """
    with open_folder(attempt, "guard") as folder:
        with attempt.database.reading() as session:
            source = find_source(session, catalog.get_version(session, model, version))
        if source is None:
            cause = "no trainer here can score it"
            raise ShadowScoringError(model=model.name, version=version, cause=cause)
        place_model(attempt.store, source, folder, ROLE)
        pq.write_table(rows, folder / "rows.parquet")
        files = files_of(ROLE, source, attempt.commands)
        job = {"format": 1, "data": ["rows.parquet"], "models": [{"role": ROLE, **files}]}
        (folder / "job.json").write_text(json.dumps(job))
        return _score(attempt, f"{model.name}", version, folder)


def _score(attempt: Attempt, model: str, version: int, folder: Path) -> NDArray[np.float64]:
    job = json.loads((folder / "job.json").read_text())
    task = ChildTask(ENTRY, folder, LIMITS, network=needs_network(job), writes=writes_of(job))
    result = attempt.executor.run(task, attempt.halt)
    attempt.check()
    if not result.succeeded:
        raise ShadowScoringError(model=model, version=version, cause=failure_line(task, result))
    answer = json.loads((folder / "result.json").read_text())
    if answer.get("outcome") != "scored":
        cause = str(answer.get("message", "no scores came back"))
        raise ShadowScoringError(model=model, version=version, cause=cause)
    return read_scores(pq.read_table(folder / SCORES).column(ROLE))
