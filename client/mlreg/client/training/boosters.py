"""Models in memory that can be saved without a pickle, told by their shape and not by an import.

A LightGBM booster (or LightGBM's scikit-learn estimator, once it is fitted) becomes a text model,
the one format that mlreg can check, score and continue.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_FILE = "model.txt"
_UNSAID = frozenset({"verbose", "verbosity", "num_threads", "n_jobs", "nthread"})


class UnsavableModelError(InvalidError):
    """A model in memory that has no safe form here."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"a {kind} is not saved by mlreg",
            code="unsavable_model",
            hint="Save it in a file of a safe format (ONNX, skops, …) and give the path.",
        )


def find_booster(model: object) -> Any | None:  # noqa: ANN401 - LightGBM is not imported here
    """Return the booster that a model is or has in it, None when it is none of LightGBM's."""
    if type(model).__module__.partition(".")[0] != "lightgbm":
        return None
    inner = getattr(model, "booster_", model)
    return inner if hasattr(inner, "save_model") else None


def save_model(model: object, folder: Path) -> Path:
    """Return the path that was given, or the file into which the model was written.

    Raises:
        OSError: the path is not there.
        UnsavableModelError: it is neither a path nor a booster.
    """
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        path.stat()
        return path
    booster = find_booster(model)
    if booster is None:
        raise UnsavableModelError(type(model).__name__)
    folder.mkdir(exist_ok=True)
    booster.save_model(str(folder / MODEL_FILE))
    return folder / MODEL_FILE


def params_of(booster: Any) -> Mapping[str, object]:  # noqa: ANN401 - as above
    """Return the parameters that a booster was trained with, but those that do not change it."""
    given = {name: value for name, value in booster.params.items() if name not in _UNSAID}
    return {**given, "trees": booster.num_trees()}
