"""What a parent must have in common with what continues it, whatever the trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.trainers.errors import ParentMismatchError
from mlreg.registry.domain.contracts import ContractMismatchError, FeatureContract, check_names

if TYPE_CHECKING:
    from mlreg.controller.trainers.trainer import StoredModel, TrainingTask


def parent_of(task: TrainingTask) -> StoredModel:
    """Return the parent of a stateful lane, which reads rows as the task does.

    Raises:
        ParentMismatchError: there is none, or its columns differ; names the first.
    """
    if task.parent is None:
        raise ParentMismatchError(what="parent", cause=f"the lane {task.lane} needs one")
    try:
        check_same(task.contract, task.parent.contract)
    except ContractMismatchError as error:
        raise ParentMismatchError(what="feature contract", cause=str(error)) from error
    return task.parent


def check_same(ours: FeatureContract, theirs: FeatureContract) -> None:
    """Check that two contracts read rows the same way: order, dtypes, categories, buckets.

    Raises:
        ContractMismatchError: they do not; it names the first column that differs.
    """
    check_names(theirs.names, ours.names)
    for mine, other in zip(ours.features, theirs.features, strict=True):
        if mine.dtype != other.dtype:
            problem = f"the parent read it as {other.dtype}, now it is {mine.dtype}"
            raise ContractMismatchError(column=mine.name, problem=problem)
        if mine.categories != other.categories:
            problem = "the parent has other categories, or another order of them"
            raise ContractMismatchError(column=mine.name, problem=problem)
        if mine.buckets != other.buckets:
            problem = (
                f"the parent has {other.buckets} buckets for unseen values, not {mine.buckets}"
            )
            raise ContractMismatchError(column=mine.name, problem=problem)
