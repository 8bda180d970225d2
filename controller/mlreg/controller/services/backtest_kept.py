"""What is kept of a backtest while its job is open: the models that were trained, and nothing else.

What always holds: they lie beside the folders of workers, under the number of the job and a digest
of the rows and of what is replayed, so that only an attempt that would train the very same finds
them; a backtest that was killed goes on with them on the same machine, and begins anew elsewhere.
Its answer is the same. A backtest that has an answer leaves nothing; what any other leaves is
removed by a worker there two days later (`leftovers`).
"""

from __future__ import annotations

import json
import time
from hashlib import file_digest
from typing import TYPE_CHECKING, Any

from mlreg.controller.removal import remove_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "mlreg-backtest-"
LONGEST_SECONDS = 2 * 86_400.0


def open_kept(parent: Path, number: int, rows: Path, job: Mapping[str, Any]) -> Path:
    """Return the folder of a backtest's models, made where there is none.

    Args:
        parent: where workers have their folders.
        number: of the job.
        rows: the file of all rows.
        job: what is replayed.
    """
    with rows.open("rb") as file:
        whole = file_digest(file, "sha256")
    whole.update(json.dumps(dict(job), sort_keys=True).encode())
    folder = parent / f"{PREFIX}{number}-{whole.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def sweep(parent: Path) -> None:
    """Remove what nobody has added a model to for long."""
    before = time.time() - LONGEST_SECONDS
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            is_old = folder.stat().st_mtime < before
        except FileNotFoundError:  # another worker swept it
            continue
        if is_old:
            remove_folder(folder)
