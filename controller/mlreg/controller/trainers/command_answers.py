"""What a program of the trainer `command` leaves beside its artifact: metrics and scores.

What always holds: a file is read only if it is a plain one, and never beyond its bound; what is in
it is numbers, or it is refused.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Strict, TypeAdapter

from mlreg.controller.trainers.errors import ScoresError, TrainingFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

METRICS, SCORES, SCORE = "metrics.json", "scores.parquet", "score"
MAX_METRICS_BYTES = 64 * 1024
_METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_METRICS = TypeAdapter(dict[str, Annotated[float, Strict()]])
_UNEQUAL = f"the lists in {SCORES} are empty, or not all of one length"


def read_metrics(file: Path) -> dict[str, float]:
    """Return what the program says that it measured; what cannot be kept is told in the log.

    Raises:
        TrainingFailedError: there is a file, and it is none of numbers by name.
    """
    if not os.path.lexists(file):
        return {}
    try:
        with _plain(file).open("rb") as reader:
            content = reader.read(MAX_METRICS_BYTES + 1)
        found = _METRICS.validate_python(json.loads(content, object_pairs_hook=_each_once))
    except (OSError, ValueError, RecursionError) as error:
        cause = (
            f"{METRICS} is no JSON object of numbers with each name once, or larger than"
            f" {MAX_METRICS_BYTES} bytes"
        )
        raise TrainingFailedError(cause=cause) from error
    kept = {
        name: value
        for name, value in found.items()
        if _METRIC_NAME.fullmatch(name) and np.isfinite(value)
    }
    if left := sorted(found.keys() - kept.keys()):
        sys.stdout.write(f"{METRICS}: {left[0][:60]!r} has no finite number or no plain name")
        sys.stdout.write(f"; {len(left)} left out\n")
    return kept


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "a name is there twice"
        raise ValueError(message)
    return found


def read_scores(file: Path) -> NDArray[np.float64]:
    """Return the scores that the program wrote.

    Raises:
        ScoresError: there is no such file, or no such column of numbers in it.
    """
    try:
        column = pq.read_table(_plain(file), columns=[SCORE])[SCORE].combine_chunks()
        if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
            widths = pc.list_value_length(column).unique().to_pylist()
            if len(widths) != 1 or not widths[0]:
                raise ScoresError(role="command", cause=_UNEQUAL)
            return _floats(column.flatten()).reshape(len(column), -1)
        return _floats(column)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        cause = f"{SCORES} has no readable column {SCORE!r} of numbers"
        raise ScoresError(role="command", cause=cause) from error


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Return a column of numbers; ValueError where it holds anything else."""
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        message = f"{kind} is no number"
        raise ValueError(message)
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)


def _plain(file: Path) -> Path:
    """Return a file that is one, and no link to somewhere else; OSError else."""
    if file.is_symlink() or not file.is_file():
        raise OSError(file)
    return file
