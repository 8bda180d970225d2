"""Running a piece of work in a forked process that a failpoint may kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable


def run_forked(work: Callable[[], object], failpoint: str = "") -> tuple[int, object]:
    """Return (exit code or minus the signal, what the work returned, through JSON)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ["MLREG_FAILPOINT"] = failpoint
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(said) if said else None
