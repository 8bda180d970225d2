"""The stage of a run's version: what the child left of it, and the log of the training.

What always holds: the log is as the database keeps it, without secrets of a known form, of this
attempt alone, and at most `MAX_LOG_LINES` long; everything else is bounded where it is written
(`trainers/stage.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.store.runs import log_of_attempt
from mlreg.controller.trainers.stage import CURVE, HOLDOUT, SEARCH, STAGE
from mlreg.registry.domain.stage import Stage, StagedFile
from mlreg.registry.services.uploads import send_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlreg.controller.services.attempt import Attempt
    from mlreg.controller.services.training import Training
    from mlreg.registry.domain.stage import StageKind

LOG = "training.log"
MAX_LOG_LINES = 20_000
_KINDS: Mapping[str, StageKind] = {
    CURVE: "loss_curve",
    HOLDOUT: "predictions",
    SEARCH: "search_table",
    LOG: "log",
}


def send_stage(attempt: Attempt, folder: Path, training: Training) -> Stage:
    """Store the bytes of a training's stage; needs no session (then `keep_blob` each)."""
    with attempt.database.reading() as session:
        number = training.run.id or 0
        lines = log_of_attempt(session, number, training.run.attempt, MAX_LOG_LINES)
    text = "".join(f"{line.at:%Y-%m-%d %H:%M:%S} {line.line}\n" for line in lines)
    (folder / STAGE / LOG).write_text(text)
    manifest = send_folder(attempt.store, folder / STAGE)
    return Stage(
        tuple(
            StagedFile(file.path, _KINDS.get(file.path, "other"), file.size, file.digest)
            for file in manifest.files
        ),
        manifest,
    )
