"""What children of the executors' benchmark do; not a benchmark itself."""

from __future__ import annotations

import json
import time
from pathlib import Path

NOTE = "note.json"


def note(folder: Path) -> None:
    """Write down when this child runs, and the memory that is its own."""
    at = time.monotonic()
    lines = (line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines())
    own = sum(int(line[1]) for line in lines if line[0].startswith("Private_"))
    (folder / NOTE).write_text(json.dumps({"at": at, "own_bytes": own * 1024}))


def sleep(folder: Path) -> None:
    """Do nothing for as long as the folder says."""
    time.sleep(float((folder / "seconds").read_text()))
