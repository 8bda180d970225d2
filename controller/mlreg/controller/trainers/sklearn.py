"""scikit-learn: any classifier or regressor by its dotted path, stored with skops.

What always holds:

- what is imported is a public class of scikit-learn and nothing else, whatever a policy says;
- a model file is read back only if every type in it is one that skops trusts or is on our list;
  there is no pickle on the way;
- the matrix is made by us from the contract (`preparation.py`), and its numbers travel with the
  model, so a stateful lane reads rows as its parent did;
- the same task gives the same bytes: skops names what is in the file by its place in memory, and we
  number it anew.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
import sklearn.base
import skops.io
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from mlreg.client.edge import Edge
from mlreg.controller.domain.estimators import NEIGHBOURS, estimator_problem
from mlreg.controller.domain.parameter_rules import ESTIMATOR, OURS_OF_SKLEARN
from mlreg.controller.trainers.archive import canonical_archive
from mlreg.controller.trainers.errors import (
    LaneNotOfTrainerError,
    ModelNotReadableError,
    ParentMismatchError,
    TrainingFailedError,
    TrainingParameterError,
)
from mlreg.controller.trainers.parents import parent_of
from mlreg.controller.trainers.preparation import Prepared, prepare
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.trainer import StoredModel, Trained, Trainer, TrainingTask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

TRUSTED = (
    "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)
"""Types beside those that skops trusts itself: parts of scikit-learn's estimators, data all."""
_BASE_OF_TASK = {
    "binary": sklearn.base.ClassifierMixin,
    "multiclass": sklearn.base.ClassifierMixin,
    "regression": sklearn.base.RegressorMixin,
}


class SklearnTrainer:
    """Trains estimators of scikit-learn."""

    @property
    def name(self) -> str:
        """The trainer and the version of its library."""
        return f"sklearn/{sklearn.__version__}"

    def train(self, task: TrainingTask, model: Path) -> Trained:
        """Train a model; see the protocol."""
        kind = find_estimator(task)
        seeds = derive_seeds(task.seed, ["random_state", "order"])
        params = _parameters(kind, task, seeds["random_state"])
        prepared, estimator = _begin(task, kind, params)
        matrix = prepared.apply(task.matrix, task.contract)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                _fit(estimator, task, matrix, seeds["order"])
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise TrainingFailedError(cause=" ".join(str(error).split())[:500]) from error
        for text in sorted({" ".join(str(one.message).split()) for one in said}):
            sys.stdout.write(f"{text}\n")
        classes = 0 if task.task == "regression" else task.classes
        model.write_bytes(_dumped(estimator, prepared, classes))
        declared = {"estimator": task.estimator or "", "preparation": prepared.declared}
        return Trained(None, None, {**params, **declared}, seeds)

    def score(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return one score per row, of several classes one for each; see the protocol.

        Raises:
            ModelNotReadableError: the file holds what is not trusted, or is broken.
        """
        estimator, prepared, classes = _loaded(model.path)
        if hasattr(estimator, "n_jobs"):
            estimator.n_jobs = threads
        rows = prepared.apply(matrix, model.contract)
        if not classes:
            return np.asarray(estimator.predict(rows), dtype=np.float64)
        chances = np.zeros((len(rows), classes))
        chances[:, estimator.classes_.astype(np.intp)] = estimator.predict_proba(rows)
        return chances[:, 1] if classes == 2 else chances  # noqa: PLR2004 - binary


def find_estimator(task: TrainingTask) -> type[Any]:
    """Return the class that is to be trained.

    Raises:
        TrainingParameterError: no class of scikit-learn, or none for the task, or one that
            cannot be trained or stored.
    """
    path = task.estimator or ""
    if not ESTIMATOR.fullmatch(path):
        cause = f"must be the dotted path of a class of scikit-learn, not {path[:100]!r}"
        raise TrainingParameterError(parameter="estimator", cause=cause)
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        cause = f"{path!r} is not in scikit-learn {sklearn.__version__}"
        raise TrainingParameterError(parameter="estimator", cause=cause) from error
    base = _BASE_OF_TASK.get(task.task)
    if base is None or not (isinstance(kind, type) and issubclass(kind, base)):
        cause = f"{path!r} makes no {task.task} models"
        raise TrainingParameterError(parameter="estimator", cause=cause)
    problem = estimator_problem(name, task.params)
    if problem:
        raise TrainingParameterError(parameter="estimator", cause=problem)
    return kind


def _parameters(kind: type[Any], task: TrainingTask, seed: int) -> dict[str, Any]:
    """Return the estimator's parameters, with ours.

    Raises:
        TrainingParameterError: one is unknown to it, or not the caller's to set.
    """
    known = kind._get_param_names()  # noqa: SLF001 - the public way needs an instance
    for name in task.params:
        if name in OURS_OF_SKLEARN:
            raise TrainingParameterError(parameter=name, cause="is set by mlreg itself")
        if name not in known:
            there = ", ".join(sorted(set(known) - OURS_OF_SKLEARN))
            cause = f"is not known to {kind.__name__}; it has {there}"
            raise TrainingParameterError(parameter=name, cause=cause)
    ours: dict[str, Any] = {"random_state": seed, "n_jobs": task.threads}
    if kind.__name__ in NEIGHBOURS and task.params.get("algorithm", "auto") == "auto":
        ours["algorithm"] = "brute"  # the same neighbours, and no tree that cannot be stored
    return {**task.params, **{name: value for name, value in ours.items() if name in known}}


def _begin(task: TrainingTask, kind: type[Any], params: Mapping[str, Any]) -> tuple[Prepared, Any]:
    """Return how rows are prepared and the estimator to fit: new ones, or the parent's.

    Raises:
        LaneNotOfTrainerError: the lane is refit, or the estimator has no `partial_fit`.
        ParentMismatchError: the parent is of another contract, class or parameters.
    """
    if task.lane == "full":
        estimator = _made(kind, params)
        if task.task != "regression" and not hasattr(estimator, "predict_proba"):
            cause = f"{kind.__name__} with these parameters gives no probabilities"
            raise TrainingParameterError(parameter="estimator", cause=cause)
        return prepare(task), estimator
    if task.lane != "continue" or not hasattr(kind, "partial_fit"):
        raise LaneNotOfTrainerError(lane=task.lane, trainer=kind.__name__)
    parent, prepared, _ = _loaded(parent_of(task).path)
    if type(parent) is not kind:
        cause = f"the parent is a {type(parent).__name__}, asked for is {kind.__name__}"
        raise ParentMismatchError(what="estimator", cause=cause)
    _check_parameters(
        parent.get_params(deep=False), _made(kind, task.params).get_params(deep=False)
    )
    if prepared.how != task.preparation:
        cause = "the parent prepares rows in another way"
        raise ParentMismatchError(what="preparation", cause=cause)
    return prepared, parent


def _made(kind: type[Any], params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any estimator
    """Return a new estimator.

    Raises:
        TrainingParameterError: it is made of other estimators, which no policy can spell.
    """
    try:
        return kind(**params)
    except TypeError as error:
        raise TrainingParameterError(parameter="estimator", cause=str(error)[:300]) from error


def _check_parameters(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Check that a parent was made with these parameters, those that nobody named included.

    Raises:
        ParentMismatchError: one differs.
    """
    for name in sorted(ours.keys() - OURS_OF_SKLEARN):
        if theirs.get(name) != ours[name]:
            cause = f"the parent has {theirs.get(name)!r}, asked for is {ours[name]!r}"
            raise ParentMismatchError(what=name, cause=cause)


def _fit(estimator: Any, task: TrainingTask, matrix: NDArray[np.float64], order: int) -> None:  # noqa: ANN401 - any estimator
    """Fit, or go on with one pass over the rows in a seeded order."""
    labels = task.labels if task.task == "regression" else task.labels.astype(np.int64)
    if task.lane == "full":
        estimator.fit(matrix, labels, **_weights(estimator.fit, task.weights))
        return
    places = np.random.default_rng(order).permutation(len(labels))
    weights = None if task.weights is None else task.weights[places]
    more = _weights(estimator.partial_fit, weights)
    try:
        estimator.partial_fit(matrix[places], labels[places], **more)
    except ValueError as error:  # a class that the parent has not seen, say
        cause = " ".join(str(error).split())[:500]
        raise ParentMismatchError(what="estimator", cause=cause) from error


def _weights(fit: Any, weights: NDArray[np.float64] | None) -> dict[str, Any]:  # noqa: ANN401 - a method of any estimator
    if weights is None:
        return {}
    if "sample_weight" not in signature(fit).parameters:
        message = "this estimator takes no weights, and the rows have some"
        raise ValueError(message)
    return {"sample_weight": weights}


def _dumped(estimator: Any, prepared: Prepared, classes: int) -> bytes:  # noqa: ANN401 - any estimator
    """Return the model file, once it is sure that it can be read back.

    Raises:
        TrainingParameterError: the estimator holds what cannot be stored safely.
    """
    if hasattr(estimator, "n_jobs"):
        estimator.n_jobs = None  # the threads of another machine are none of the model
    form = {"estimator": estimator, "preparation": prepared.to_form(), "classes": classes}
    try:
        content = canonical_archive(skops.io.dumps(form))
        strange = set(skops.io.get_untrusted_types(data=content)) - {*TRUSTED}
    except UnsupportedTypeException as error:
        raise TrainingParameterError(parameter="estimator", cause=str(error)[:300]) from error
    if strange:
        cause = f"holds what cannot be stored safely: {', '.join(sorted(strange)[:5])}"
        raise TrainingParameterError(parameter="estimator", cause=cause)
    return content


def _loaded(path: Path) -> tuple[Any, Prepared, int]:
    """Return estimator, preparation and number of classes (0: numbers) of a model file.

    Raises:
        ModelNotReadableError: it holds what is not trusted, or is broken.
    """
    errors: list[Exception] = []
    with Edge(errors.append):  # a broken file may raise anything
        form = skops.io.loads(path.read_bytes(), trusted=list(TRUSTED))
        return form["estimator"], Prepared.from_form(form["preparation"]), int(form["classes"])
    fault = errors[0]
    of = "" if isinstance(fault, UntrustedTypesFoundException) else f"{type(fault).__name__}: "
    raise ModelNotReadableError(cause=f"{of}{fault}"[:300]) from fault


_PROOF: type[Trainer] = SklearnTrainer
