"""The trainers by name: the one place that knows them all.

| name | trains | file of the model | lanes |
|---|---|---|---|
| `lightgbm` | LightGBM's boosted trees | `model.txt` | full, continue, refit |
| `sklearn` | estimators of scikit-learn, by their dotted path | `model.skops` | full, continue |
| `command` | what a program makes that the worker's operator declared | `artifact/` | as declared |

Third parties add theirs by the entry point group `mlreg.trainers`; an entry point loads to a class
without arguments that is a `Trainer`. Its model is `model`, a file or a folder.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from mlreg.client.edge import Edge
from mlreg.controller.domain.plugins import broken_line
from mlreg.controller.domain.trainer_kinds import ENTRY_POINTS
from mlreg.controller.trainers.command import CommandTrainer
from mlreg.controller.trainers.errors import (
    BrokenTrainerError,
    TrainerNotInstalledError,
    UnknownTrainerError,
)
from mlreg.controller.trainers.job import InvalidJobError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mlreg.controller.domain.commands import SealedCommand
    from mlreg.controller.trainers.trainer import Trainer

BY_LIBRARY = {
    "lightgbm": ("mlreg.controller.trainers.lightgbm", "LightGBMTrainer"),
    "sklearn": ("mlreg.controller.trainers.sklearn", "SklearnTrainer"),
}
"""Module and class of the trainers whose library takes seconds to import, or may not be there."""
OURS = (*BY_LIBRARY, "command")


def open_trainer(name: str, command: SealedCommand | None = None) -> Trainer:
    """Return the trainer of that name (without its version).

    Raises:
        UnknownTrainerError: none is installed.
        TrainerNotInstalledError: it is one of ours, and its library is not there.
        BrokenTrainerError: it is somebody else's, and cannot be loaded.
        InvalidJobError: the trainer `command` without a command.
    """
    if name in BY_LIBRARY:
        return _open_ours(name)
    if name == "command":
        if command is None:
            raise InvalidJobError(cause="the trainer `command` needs a command")
        return CommandTrainer(command)
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in points:
        raise UnknownTrainerError(name=name, known=", ".join([*OURS, *sorted(points)]))
    return load_trainer(points[name])


def load_trainer(point: EntryPoint) -> Trainer:
    """Return the trainer of somebody else's.

    Raises:
        BrokenTrainerError: it cannot be imported or made, or is no trainer.
    """
    errors: list[Exception] = []
    with Edge(errors.append):  # whatever another's module does as it is imported
        found = point.load()()
        if all(hasattr(found, part) for part in ("name", "train", "score")):
            return cast("Trainer", found)
    cause = f"{type(errors[0]).__name__}: {errors[0]}" if errors else f"{point.value} is no trainer"
    raise BrokenTrainerError(line=broken_line(point, " ".join(cause.split())[:300]))


def _open_ours(name: str) -> Trainer:
    """Import a library only where it is asked for: who merely names a trainer needs none of it."""
    module, trainer = BY_LIBRARY[name]
    try:
        found = getattr(import_module(module), trainer)
    except ModuleNotFoundError as error:
        raise TrainerNotInstalledError(name=name, package=str(error.name)) from error
    return cast("Trainer", found())
