"""The trainers by name: the one place that knows them all.

Built in: `lightgbm`. Third parties add theirs by the entry point group `mlreg.trainers`; an entry
point loads to a class without arguments that is a `Trainer`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from mlreg.controller.trainers.errors import UnknownTrainerError
from mlreg.controller.trainers.lightgbm import LightGBMTrainer

if TYPE_CHECKING:
    from mlreg.controller.trainers.trainer import Trainer

GROUP = "mlreg.trainers"


def open_trainer(name: str) -> Trainer:
    """Return the trainer of that name (without its version).

    Raises:
        UnknownTrainerError: none is installed.
    """
    if name == "lightgbm":
        return LightGBMTrainer()
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UnknownTrainerError(name=name, known=", ".join(["lightgbm", *sorted(points)]))
    return cast("Trainer", points[name].load()())
