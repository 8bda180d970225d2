"""Which hyperparameters a policy may name, as far as that is known without the libraries.

What always holds: asked when a policy is applied; the trainers refuse the same, and more, once they
see values. A third party's trainer knows its own.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mlreg.controller.domain.estimators import estimator_problem
from mlreg.controller.domain.lightgbm_names import MAIN_NAMES
from mlreg.controller.domain.objectives import objective_problem
from mlreg.controller.domain.policy_rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlreg.controller.domain.policy import RetrainRule
    from mlreg.controller.domain.yaml_file import Location

SEEDS = (
    "seed",
    "bagging_seed",
    "feature_fraction_seed",
    "data_random_seed",
    "extra_seed",
    "objective_seed",
)
OURS_OF_LIGHTGBM = frozenset(
    {
        *("num_iterations", "num_threads", "deterministic", "force_row_wise", "force_col_wise"),
        *("boost_from_average", "boosting", "linear_tree", "categorical_feature", "metric"),
        *("verbosity", "data", "valid", "input_model", "output_model", "config", "task"),
        *("label_column", "weight_column", "group_column", "ignore_column", "num_class"),
        *("early_stopping_round", "save_binary", "two_round", "refit_decay_rate", "device_type"),
        *("forcedsplits_filename", "forcedbins_filename", "machines", "machine_list_filename"),
        *("num_machines", "local_listen_port", "time_out", "tree_learner", "pre_partition"),
        *SEEDS,
    }
)
"""Parameters that follow from the task or from what the trainer promises: no caller sets them."""
OURS_OF_SKLEARN = frozenset({"random_state", "n_jobs", "warm_start", "memory", "verbose"})
"""Parameters that follow from the run, or that would read or write files."""
ESTIMATOR = re.compile(r"sklearn(\.[a-z][a-z0-9_]*)+\.[A-Z][A-Za-z0-9]*")
"""The dotted path of a public class of scikit-learn."""
INSTEAD = {"num_iterations": "; say retrain.rounds", **dict.fromkeys(SEEDS, "; say retrain.seed")}


def impossible_parameters(rule: RetrainRule, task: str) -> Iterator[Complaint]:
    """Yield the parameters that the trainer refuses at each run, or the search at each trial."""
    searched = {} if rule.search is None else rule.search.params
    sections: tuple[tuple[Location, Iterable[str]], ...] = (
        (("retrain", "params"), rule.params),
        (("retrain", "search", "params"), searched),
    )
    for place, names in sections:
        for name in names:
            problem = _PROBLEMS.get(rule.trainer, _none)(name)
            if problem:
                yield Complaint((*place, name), problem)
    if rule.trainer == "lightgbm":
        yield from _of_searched(rule, task)
    if rule.trainer == "sklearn":
        yield from _of_estimator(rule, task)


def _none(_name: str) -> str:
    return ""


def _of_lightgbm(name: str) -> str:
    main = MAIN_NAMES.get(name)
    if main is None:
        close = get_close_matches(name, MAIN_NAMES, n=1)
        return "is not known to LightGBM" + (f"; did you mean {close[0]}?" if close else "")
    return f"is set by mlreg itself{INSTEAD.get(main, '')}" if main in OURS_OF_LIGHTGBM else ""


def _of_sklearn(name: str) -> str:
    return "is set by mlreg itself" if name in OURS_OF_SKLEARN else ""


_PROBLEMS = {"lightgbm": _of_lightgbm, "sklearn": _of_sklearn}


def _of_searched(rule: RetrainRule, task: str) -> Iterator[Complaint]:
    """Yield what is declared twice under two names, and objectives of another task."""
    searched = {} if rule.search is None else rule.search.params
    first: dict[str, str] = {}
    for place, names in ((("params",), rule.params), (("search", "params"), searched)):
        for name in names:
            main = MAIN_NAMES.get(name, name)
            before = first.setdefault(main, name)
            if before != name:
                yield Complaint(("retrain", *place, name), f"is {before} by another name")
            elif place == ("search", "params") and main == "objective":
                given = searched[name]
                values = given if isinstance(given, tuple) else ("",)
                problems = (objective_problem(task, {"objective": one}) for one in values)
                problem = next(filter(None, problems), None)
                if problem:
                    yield Complaint(("retrain", *place, name), problem)


def _of_estimator(rule: RetrainRule, task: str) -> Iterator[Complaint]:
    place: Location = ("retrain", "estimator")
    path, searched = rule.estimator or "", {} if rule.search is None else rule.search.params
    if not ESTIMATOR.fullmatch(path):
        yield Complaint(place, "must be the dotted path of a public class of scikit-learn")
    elif path.endswith("Classifier" if task == "regression" else "Regressor"):
        yield Complaint(place, f"{path.rpartition('.')[2]} makes no {task} models")
    elif problem := estimator_problem(path.rpartition(".")[2], rule.params, searched):
        yield Complaint(place, problem)
