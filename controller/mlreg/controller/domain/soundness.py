"""Whether rows and scores are such that anything can be concluded from them; if not, why.

What always holds: labels are labels of the task, weights and scores are finite, probabilities are
probabilities; a sentence says which rule is broken, by how many rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics.ranking import MAX_GRADE, counted_rows

if TYPE_CHECKING:
    from mlreg.controller.domain.metrics import Booleans, Floats, Rows
    from mlreg.registry.domain.target_contract import Task

CLASSIFIED = frozenset({"binary", "multiclass"})
"""The tasks whose labels are classes."""
SLACK = 1e-6
"""How far beyond 0 and 1 a library's probability may be by rounding."""


def problem_of_rows(task: Task, rows: Rows, classes: int) -> str | None:
    """Say why nothing can be concluded from labelled rows; None: it can.

    Args:
        task: of the model.
        rows: those with a label.
        classes: how many classes a multiclass model has.
    """
    if not np.isfinite(rows.labels).all() or not np.isfinite(rows.weights).all():
        return "a label or a weight is not finite"
    if not len(rows) or not rows.weights.sum() > 0:
        return "there are no labelled rows"
    if task == "ranking":
        return _problem_of_groups(rows)
    return _problem_of_classes(task, rows.labels, classes) if task in CLASSIFIED else None


def problem_of_scores(task: Task, scores: Floats, classes: int) -> str | None:
    """Say why these scores are none of the task; None: they are.

    What sums to another number than 1 is made to sum to 1 (classes each against all others), but
    not what sums to 0.
    """
    wanted = (classes,) if task == "multiclass" else ()
    if scores.shape[1:] != wanted:
        width = scores.shape[1] if scores.ndim > 1 else 1
        return f"are {width} per row, not {classes if wanted else 1}"
    by_row = scores.reshape(len(scores), -1)
    broken = ~np.isfinite(by_row).all(axis=1)
    if broken.any():
        return f"are not finite in {int(broken.sum()):,} rows"
    if task not in CLASSIFIED:
        return None
    outside = ((by_row < -SLACK) | (by_row > 1 + SLACK)).any(axis=1)
    if outside.any():
        return f"are no probabilities in {int(outside.sum()):,} rows"
    empty = by_row.sum(axis=1) <= 0 if wanted else np.zeros(len(scores), dtype=bool)
    return f"give no class a chance in {int(empty.sum()):,} rows" if empty.any() else None


def _problem_of_classes(task: Task, labels: Floats, classes: int) -> str | None:
    known = np.isin(labels, np.arange(2 if task == "binary" else classes))
    if not known.all():
        such = f"such as {labels[~known][0]:g}"
        what = "neither 0 nor 1" if task == "binary" else f"no class of 0 to {classes - 1}"
        return f"{_count(~known)} a label that is {what}, {such}"
    return "the rows have one class only" if len(np.unique(labels)) == 1 else None


def _problem_of_groups(rows: Rows) -> str | None:
    known = np.isin(rows.labels, np.arange(MAX_GRADE + 1))
    if not known.all():
        such = f"such as {rows.labels[~known][0]:g}"
        return f"{_count(~known)} a label that is no grade of 0 to {MAX_GRADE}, {such}"
    if rows.groups is None:
        return "the rows have no groups to order"
    if (rows.groups < 0).any():
        return f"{_count(rows.groups < 0)} no group"
    if not counted_rows(rows).any():
        return "no group has rows of different labels, so no order of it can be wrong"
    return None


def _count(broken: Booleans) -> str:
    count = int(broken.sum())
    return f"{count:,} rows have" if count > 1 else "a row has"
