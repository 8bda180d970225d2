"""What is known of a trainer without loading it: its model's file, and the lanes that it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.lanes import LANES, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_FILES: Mapping[str, str] = {
    "lightgbm": "model.txt",
    "sklearn": "model.skops",
    "command": "artifact",
}
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where Linux keeps the semaphores that threads share
SHARING = frozenset({"sklearn"})
"""Trainers whose library (joblib) locks the threads of its pools with semaphores there."""
ENTRY_POINTS = "mlreg.trainers"
"""Where third parties add theirs."""
PARTIAL_FIT: frozenset[str] = frozenset(
    {
        *("BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB"),
        *("MLPClassifier", "MLPRegressor", "PassiveAggressiveClassifier"),
        *("PassiveAggressiveRegressor", "Perceptron", "SGDClassifier", "SGDRegressor"),
    }
)
"""The estimators of scikit-learn with `partial_fit`."""


def model_file_of(kind: str) -> str:
    """Return the name of a model's file (or of the folder of its files) in its artifact."""
    return MODEL_FILES.get(kind, "model")


def lanes_of(kind: str, estimator: str | None, declared: tuple[Lane, ...] = ()) -> frozenset[Lane]:
    """Return the lanes that a trainer can do.

    Args:
        kind: the trainer.
        estimator: of `sklearn`, the dotted path.
        declared: of `command`, what its operator says that it can.
    """
    if kind == "sklearn":
        can = (estimator or "").rpartition(".")[2] in PARTIAL_FIT
        return frozenset({"full", "continue"}) if can else frozenset({"full"})
    if kind == "command":
        return frozenset({"full", *declared})
    return frozenset(LANES)
