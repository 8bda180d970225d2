"""Trainers that others install: one that is broken is refused with its cause, as one's own is."""

from importlib.metadata import EntryPoint

import pytest

from mlreg.controller.domain.trainer_kinds import ENTRY_POINTS
from mlreg.controller.trainers.errors import BrokenTrainerError
from mlreg.controller.trainers.kinds import load_trainer


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("mlreg.no_such_module:Forest", "ModuleNotFoundError: No module named"),
        ("tests.unit.test_trainers_of_others:Forest", "ValueError: no licence"),
        ("tests.unit.test_trainers_of_others:forest", "AttributeError"),
        ("builtins:dict", "builtins:dict is no trainer"),
    ],
)
def test_one_that_cannot_be_loaded_says_why(value, cause):
    with pytest.raises(BrokenTrainerError, match="'forest' is installed and cannot be") as refused:
        load_trainer(EntryPoint("forest", value, ENTRY_POINTS))
    assert cause in str(refused.value)


class Forest:
    def __init__(self):
        raise ValueError("no licence")
