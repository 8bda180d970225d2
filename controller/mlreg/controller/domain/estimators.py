"""What no run can do with an estimator of scikit-learn, as far as its name and parameters tell.

What always holds: asked when a policy is applied, without the library; the trainer refuses the same
once it has the class. `tests/integration/test_estimators.py` holds the names against scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NOT_STORED = frozenset(
    {"CalibratedClassifierCV", "GaussianProcessClassifier", "GaussianProcessRegressor"}
)
"""Those with parts that skops does not trust, whatever their parameters."""
MADE_OF_OTHERS = frozenset(
    {
        *("ClassifierChain", "FixedThresholdClassifier", "MultiOutputClassifier"),
        *("MultiOutputRegressor", "OneVsOneClassifier", "OneVsRestClassifier"),
        *("OutputCodeClassifier", "RegressorChain", "SelfTrainingClassifier"),
        *("StackingClassifier", "StackingRegressor", "TunedThresholdClassifierCV"),
        *("VotingClassifier", "VotingRegressor"),
    }
)
"""Those that need another estimator, which no policy can spell."""
WITHOUT_PROBABILITIES = frozenset(
    {
        *("LinearSVC", "PassiveAggressiveClassifier", "Perceptron"),
        *("RidgeClassifier", "RidgeClassifierCV"),
    }
)
PROBABILITIES_BY: Mapping[str, tuple[str, tuple[object, ...], str]] = {
    "NuSVC": ("probability", (True,), "probability: true"),
    "SVC": ("probability", (True,), "probability: true"),
    "SGDClassifier": (
        "loss",
        ("log_loss", "modified_huber"),
        "loss: log_loss or loss: modified_huber",
    ),
}
"""Which parameter must have which values, and how that is said."""
SEVERAL_TARGETS = frozenset(
    {"MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"}
)
NEIGHBOURS = frozenset(
    {
        *("KNeighborsClassifier", "KNeighborsRegressor"),
        *("RadiusNeighborsClassifier", "RadiusNeighborsRegressor"),
    }
)
"""Those whose trees of neighbours skops does not trust; `algorithm: brute` makes none."""
TREES_OF_NEIGHBOURS = frozenset({"ball_tree", "kd_tree"})
_ALWAYS = (
    (NOT_STORED, "holds what cannot be stored safely"),
    (MADE_OF_OTHERS, "is made of other estimators, which no policy can spell"),
    (WITHOUT_PROBABILITIES, "gives no probabilities"),
    (SEVERAL_TARGETS, "is for several targets at once"),
)


def estimator_problem(
    name: str, params: Mapping[str, object], searched: Collection[str] = ()
) -> str:
    """Say why no run can train an estimator; empty where nothing is known against it.

    Args:
        name: of the class.
        params: that are named for it; the others have scikit-learn's defaults.
        searched: names of parameters whose values are not known yet.
    """
    for names, problem in _ALWAYS:
        if name in names:
            return f"{name} {problem}"
    if name in PROBABILITIES_BY:
        parameter, values, said = PROBABILITIES_BY[name]
        if parameter not in searched and params.get(parameter) not in values:
            return f"{name} gives probabilities only with {said}"
    if name in NEIGHBOURS and params.get("algorithm") in TREES_OF_NEIGHBOURS:
        return f"{name} keeps trees that cannot be stored safely; say algorithm: brute"
    return ""
