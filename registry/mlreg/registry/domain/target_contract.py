"""What a model answers: its task, its classes, and what belongs to its labels.

What always holds: only a task that has classes names some, and they are distinct; a binary model
has two, one of them the positive; a ranking has a group key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from mlreg.registry.domain.digests import digest_of_json
from mlreg.registry.domain.forms import (
    InvalidContractError,
    Json,
    check_rules,
    mapping,
    optional_text,
    text,
    texts,
)

Task = Literal["binary", "multiclass", "regression", "ranking"]

BINARY_CLASSES = 2
_KEYS = frozenset(
    {
        "task",
        "classes",
        "positive_class",
        "max_label_delay_seconds",
        "entity_key",
        "group_key",
        "weight",
    }
)


@dataclass(frozen=True, slots=True)
class TargetContract:
    """What a model answers.

    Attributes:
        classes: the labels in the order of their codes; empty for regression and ranking.
        positive_class: the class whose probability a binary model answers.
        max_label_delay_seconds: a label that has not come by then never comes.
        entity_key: the column that says whom a row is about (blocks, erasure), if any.
        group_key: the column whose rows a ranking model orders.
        weight: the column of sample weights, if any.
    """

    task: Task
    classes: tuple[str, ...] = ()
    positive_class: str | None = None
    max_label_delay_seconds: int = 86_400
    entity_key: str | None = None
    group_key: str | None = None
    weight: str | None = None

    def __post_init__(self) -> None:
        named = self.task in {"binary", "multiclass"}
        rules = (
            (self.task in get_args(Task), f"task must be one of {', '.join(get_args(Task))}"),
            (not self.classes or named, f"a {self.task} task has no classes"),
            (
                self.task != "binary" or len(self.classes) == BINARY_CLASSES,
                "a binary task has two classes",
            ),
            (self.task != "multiclass" or len(self.classes) > BINARY_CLASSES, "3 classes needed"),
            (len(set(self.classes)) == len(self.classes), "classes must be distinct"),
            (self.positive_class is None or self.task == "binary", "only binary has a positive"),
            (
                self.task != "binary" or self.positive_class in self.classes,
                "positive class unknown",
            ),
            (self.max_label_delay_seconds >= 0, "the label delay is 0 or more seconds"),
            (self.task != "ranking" or self.group_key is not None, "ranking needs a group key"),
        )
        check_rules("target contract", rules)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form, as `model.target_contract` stores it."""
        return {
            "task": self.task,
            "classes": list(self.classes),
            "positive_class": self.positive_class,
            "max_label_delay_seconds": self.max_label_delay_seconds,
            "entity_key": self.entity_key,
            "group_key": self.group_key,
            "weight": self.weight,
        }

    @property
    def digest(self) -> str:
        """The digest of the canonical JSON form."""
        return digest_of_json(self.to_json())

    @classmethod
    def from_json(cls, form: object) -> TargetContract:
        """Read the JSON form; a binary task without classes has "0" and the positive "1".

        Raises:
            InvalidContractError: something in it breaks a rule.
        """
        where = "target contract"
        fields = mapping(form, where=where, keys=_KEYS)
        task = cast("Task", text(fields.get("task"), where=where, key="task"))
        classes = texts(fields.get("classes") or (), where=where)
        if task == "binary" and not classes:
            classes = ("0", "1")
        positive = optional_text(fields, "positive_class", where)
        delay = fields.get("max_label_delay_seconds", 86_400)
        if not isinstance(delay, int) or isinstance(delay, bool):
            raise InvalidContractError(where=where, problem="the label delay is a whole number")
        return cls(
            task=task,
            classes=classes,
            positive_class=classes[-1] if task == "binary" and positive is None else positive,
            max_label_delay_seconds=delay,
            entity_key=optional_text(fields, "entity_key", where),
            group_key=optional_text(fields, "group_key", where),
            weight=optional_text(fields, "weight", where),
        )
