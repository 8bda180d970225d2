"""Shadow scoring: what a former champion would have said about rows that another one scored.

What always holds: the model's files are verified on the way out and scored in a child process with
limits, never here; the folder is gone afterwards.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from mlreg.controller.executors.executor import ChildTask, Limits, failure_line
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog, uploads

if TYPE_CHECKING:
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
    """Return the scores of a version for joined rows, in their order.

    Raises:
        ShadowScoringError: the version or the rows do not allow it.
        HaltedError: the attempt was told to stop.
    """
    attempt.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=attempt.folder, prefix="guard-") as name:
        folder = Path(name)
        with attempt.database.reading() as session:
            found = catalog.get_version(session, model, version)
            uploads.fetch_version(session, attempt.store, found, folder / ROLE)
        pq.write_table(rows, folder / "rows.parquet")
        (folder / "job.json").write_text(json.dumps(_job()))
        return _score(attempt, f"{model.name}", version, folder)


def _job() -> dict[str, object]:
    files = {"model": f"{ROLE}/model.txt", "contract": f"{ROLE}/contract.json"}
    return {"format": 1, "data": ["rows.parquet"], "models": [{"role": ROLE, **files}]}


def _score(attempt: Attempt, model: str, version: int, folder: Path) -> NDArray[np.float64]:
    task = ChildTask(ENTRY, folder, LIMITS)
    result = attempt.executor.run(task, attempt.halt)
    attempt.check()
    if not result.succeeded:
        raise ShadowScoringError(model=model, version=version, cause=failure_line(task, result))
    answer = json.loads((folder / "result.json").read_text())
    if answer.get("outcome") != "scored":
        cause = str(answer.get("message", "no scores came back"))
        raise ShadowScoringError(model=model, version=version, cause=cause)
    scores = pq.read_table(folder / "scores.parquet").column(ROLE)
    return np.asarray(scores.to_numpy(zero_copy_only=False), dtype=np.float64)
