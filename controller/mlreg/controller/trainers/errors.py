"""What a trainer refuses. The run is `failed` then, and not tried again."""

from __future__ import annotations

from mlreg.registry.domain.errors import InvalidError, RefusedError


class TrainingRowsError(InvalidError):
    """The rows cannot train a model: none, one class, a label that is no label."""

    code = "unusable_training_rows"
    hint = "Look at the labels and the window of the snapshot (`mlreg snapshot show`)."

    def __init__(self, *, cause: str) -> None:
        self.cause = cause
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


class NoTreeGrownError(RefusedError):
    """The lane `continue` found no split on these rows: the model would be its parent."""

    code = "no_tree_grown"
    hint = "Train on more rows, or lower `min_data_in_leaf`."

    def __init__(self, *, rows: int) -> None:
        super().__init__(f"no tree could be grown on top of the parent with these {rows} rows")


class SearchError(RefusedError):
    """Hyperparameters cannot be searched: rows, trials or a library are wanting."""

    code = "search_failed"
    hint = "Train on more rows, widen `retrain.search`, or leave it out."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"hyperparameters cannot be searched: {cause}")


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


class TrainerNotInstalledError(InvalidError):
    """A trainer of ours whose library is not installed here."""

    code = "trainer_not_installed"

    def __init__(self, *, name: str, package: str) -> None:
        self.hint = f"Install mlreg[{name}] where workers run."
        super().__init__(f"the trainer {name} needs {package}, which is not installed here")


class BrokenTrainerError(InvalidError):
    """A trainer of others that cannot be loaded, or is none."""

    code = "broken_trainer"
    hint = "Mend or remove that package where workers run; the other trainers are there."

    def __init__(self, *, line: str) -> None:
        super().__init__(f"the trainer {line}")


class LaneNotOfTrainerError(InvalidError):
    """The trainer, or this kind of model, knows no such lane."""

    code = "lane_not_of_trainer"
    hint = "Retrain in the lane `full`."

    def __init__(self, *, lane: str, trainer: str) -> None:
        super().__init__(f"{trainer} cannot train in the lane {lane}")


class MissingValueError(InvalidError):
    """A value is missing, and the declared preparation takes no such rows."""

    code = "missing_value"
    hint = "Declare what stands for missing: `preparation: {impute: median}`."

    def __init__(self, *, feature: str, rows: int) -> None:
        super().__init__(f"feature {feature!r} is missing in {rows} rows, and `impute: refuse`")


class ModelNotReadableError(InvalidError):
    """A model file of scikit-learn is broken, or holds what nobody trusts."""

    code = "invalid_model_file"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the model file is not read: {' '.join(cause.split())}")


class ScoresError(RefusedError):
    """A model's scores are not what scores are."""

    code = "unusable_scores"

    def __init__(self, *, role: str, cause: str) -> None:
        super().__init__(f"the scores of the {role} cannot be used: {cause}")


class TrainingFailedError(RefusedError):
    """The trainer's library gave up."""

    code = "training_failed"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"training failed: {cause}")
