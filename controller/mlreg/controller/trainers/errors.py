"""What a trainer refuses. The run is `failed` then, and not tried again."""

from __future__ import annotations

from mlreg.registry.domain.errors import InvalidError, RefusedError


class TrainingRowsError(InvalidError):
    """The rows cannot train a model: none, one class, a label that is no label."""

    code = "unusable_training_rows"
    hint = "Look at the labels and the window of the snapshot (`mlreg snapshot show`)."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"these rows cannot train a model: {cause}")


class TrainingParameterError(InvalidError):
    """A parameter is unknown to the trainer, or not the caller's to set."""

    code = "invalid_training_parameter"

    def __init__(self, *, parameter: str, cause: str) -> None:
        self.parameter = parameter
        super().__init__(f"training parameter {parameter!r} {cause}")


class ParentMismatchError(RefusedError):
    """A stateful lane on a parent that it must not continue: LightGBM itself would not notice."""

    code = "parent_mismatch"
    hint = "Retrain in the lane `full`, or keep the parent's contract and objective."

    def __init__(self, *, what: str, cause: str) -> None:
        self.what = what
        super().__init__(f"the parent cannot be continued: {what}: {cause}")


class TreeBudgetError(RefusedError):
    """The parent already has as many trees as the lane `continue` may reach."""

    code = "tree_budget"
    hint = "Retrain in the lane `full`."

    def __init__(self, *, trees: int, max_trees: int) -> None:
        super().__init__(f"the parent has {trees} trees, and max_trees is {max_trees}")


class UnsupportedTaskError(InvalidError):
    """The trainer does not know this task yet."""

    code = "unsupported_task"

    def __init__(self, *, task: str, trainer: str) -> None:
        super().__init__(f"the trainer {trainer} does not train {task} models yet")


class NotExplainedError(InvalidError):
    """The trainer cannot say what a feature adds to a score."""

    code = "not_explained"

    def __init__(self, *, trainer: str) -> None:
        super().__init__(f"the trainer {trainer} does not say what features add to a score")


class UnknownTrainerError(InvalidError):
    """No trainer of this name is installed."""

    code = "unknown_trainer"

    def __init__(self, *, name: str, known: str) -> None:
        super().__init__(f"there is no trainer {name!r}; there are {known}")


class TrainingFailedError(RefusedError):
    """The trainer's library gave up."""

    code = "training_failed"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"training failed: {cause}")
