"""Run as a file, in a process of its own: parse one text model with LightGBM's C++ parser.

`python -I -S parser_child.py LIB_LIGHTGBM.SO MODEL.TXT FEATURES`: sets its own limits first
(memory, CPU seconds, no files, no core dump), then parses and scores a few extreme rows. Exit 0:
parsed, and the scores are finite. Exit 3: refused, with the reason on stderr. Anything else, a
signal most of all: the model file did that. Standard library only, so that it starts in 30 ms.
"""

from __future__ import annotations

import ctypes
import math
import resource
import sys
from pathlib import Path

MEMORY_BYTES = 4 * 2**30
CPU_SECONDS = 20
REFUSED = 3
FLOAT64 = 1
NORMAL_PREDICTION = 0
MAX_SCORES = 10_000
EXTREMES = (0.0, 1.0, math.nan, -1e30, 1e30)


def main(arguments: list[str]) -> int:
    """Parse the model and score a few rows; return the exit code."""
    library, model, features = arguments
    content = Path(model).read_bytes()
    limit()
    lightgbm = ctypes.CDLL(library)
    lightgbm.LGBM_GetLastError.restype = ctypes.c_char_p
    booster = ctypes.c_void_p()
    iterations = ctypes.c_int()
    failed = lightgbm.LGBM_BoosterLoadModelFromString(
        ctypes.c_char_p(content), ctypes.byref(iterations), ctypes.byref(booster)
    )
    for value in EXTREMES:
        failed = failed or not scores_finite(lightgbm, booster, int(features), value)
    if failed:
        sys.stderr.write(lightgbm.LGBM_GetLastError().decode(errors="replace")[:500])
    return REFUSED if failed else 0


def scores_finite(
    lightgbm: ctypes.CDLL, booster: ctypes.c_void_p, features: int, value: float
) -> bool:
    """Score one row that holds a value everywhere; say whether the scores are finite numbers."""
    row = (ctypes.c_double * features)(*([value] * features))
    scores = (ctypes.c_double * MAX_SCORES)()
    length = ctypes.c_int64()
    failed = lightgbm.LGBM_BoosterPredictForMat(
        booster,
        row,
        ctypes.c_int(FLOAT64),
        ctypes.c_int32(1),
        ctypes.c_int32(features),
        ctypes.c_int(1),
        ctypes.c_int(NORMAL_PREDICTION),
        ctypes.c_int(0),
        ctypes.c_int(-1),
        ctypes.c_char_p(b"num_threads=1 verbosity=-1"),
        ctypes.byref(length),
        scores,
    )
    return not failed and all(map(math.isfinite, scores[: length.value]))


def limit() -> None:
    """Bound what this process may take; the file is open and read by now."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
