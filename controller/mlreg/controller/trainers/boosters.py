"""LightGBM's boosters: opened from files that passed the validator, and given new leaves.

What always holds: a refitted booster has the trees of the one that it was made of, with the leaves
that LightGBM's own `Booster.refit` gives them, to the last bit. That one also bins the rows, which
nothing reads here: which leaf a row falls into is known from the trees.
"""

from __future__ import annotations

import ctypes
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from lightgbm.basic import _safe_call  # as Booster.refit does: there is no public call
from lightgbm.libpath import _LIB
from scipy.sparse import csr_matrix

from mlreg.client.scoring.errors import ModelFileError
from mlreg.client.scoring.lightgbm_text import ModelSummary, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlreg.controller.trainers.trainer import StoredModel

MOST_PASSED = 4_096
_PASSED: dict[bytes, ModelSummary] = {}
"""What the model files hold that passed the validator in this process, by their digests."""
_MOST_LEAVES = 4_000_000
"""How many leaves are asked for at once: LightGBM answers in float64, 32 MB of them."""
_RANGES = re.compile("^feature_infos=.*$", re.MULTILINE)


def open_booster(model: StoredModel) -> tuple[ModelSummary, lightgbm.Booster]:
    """Open a model file, validated first.

    Raises:
        ModelFileError: the file breaks the format.
    """
    content = model.path.read_bytes()
    summary = validated(content)
    try:
        return summary, lightgbm.Booster(model_str=content.decode())
    except ValueError as error:  # LightGBM reads the parameters as JSON
        raise ModelFileError(where="parameters", cause=str(error)) from error


def validated(content: bytes) -> ModelSummary:
    """Validate a model file; one that this process has passed before is told by its digest.

    Raises:
        ModelFileError: the file breaks the format.
    """
    digest = sha256(content).digest()
    found = _PASSED.get(digest)
    if found is None:
        found = validate(content)
        if len(_PASSED) < MOST_PASSED:
            _PASSED[digest] = found
    return found


def refit(
    parent: lightgbm.Booster,
    matrix: NDArray[np.float64],
    described: Mapping[str, Any],
    params: Mapping[str, Any],
    decay_rate: float,
) -> str:
    """Return the text of a model of the parent's trees with leaves of these rows.

    The ranges of the features in it are the parent's: those of the rows that its trees grew on.

    Args:
        parent: the model.
        matrix: rows by features.
        described: what a `lightgbm.Dataset` is told of them: label, weight, group, feature_name.
        params: LightGBM's.
        decay_rate: how much of the old leaves stays, 0 to 1.
    """
    leaves = _leaves_of(parent, matrix, int(params["num_threads"]))
    rows = lightgbm.Dataset(csr_matrix(matrix.shape), params=dict(params), **described)
    fitted = lightgbm.Booster({**params, "refit_decay_rate": decay_rate}, rows)
    _refit_in_place(fitted, parent, leaves)
    ranges = _RANGES.search(parent.model_to_string(num_iteration=1))
    text: str = fitted.model_to_string()
    return text if ranges is None else _RANGES.sub(lambda _: ranges[0], text, count=1)


def _refit_in_place(
    fitted: lightgbm.Booster, parent: lightgbm.Booster, leaves: NDArray[np.int32]
) -> None:
    """Make the two calls of LightGBM's C API that its `Booster.refit` ends with."""
    theirs, ours = parent._handle, fitted._handle  # noqa: SLF001 - what they take
    _safe_call(_LIB.LGBM_BoosterMerge(ours, theirs))
    places = leaves.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
    _safe_call(_LIB.LGBM_BoosterRefit(ours, places, *map(ctypes.c_int32, leaves.shape)))


def _leaves_of(
    parent: lightgbm.Booster, matrix: NDArray[np.float64], threads: int
) -> NDArray[np.int32]:
    """Return the leaf that each row falls into in each tree."""
    found = np.empty((len(matrix), parent.num_trees()), dtype=np.int32)
    step = max(1, _MOST_LEAVES // found.shape[1])
    for start in range(0, len(matrix), step):
        some = slice(start, start + step)
        found[some] = parent.predict(matrix[some], pred_leaf=True, num_threads=threads)
    return found
