"""Where a policy has its challengers trained, and what is set aside for them there."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from mlreg.controller.domain.limit_rule import Memory
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.registry.domain.names import Name

LOCAL = "local"
KINDS = (LOCAL, "ray", "kubernetes")
ENTRY_POINTS = "mlreg.executors"
"""Where third parties add theirs."""
DISTRIBUTED = frozenset({"ray"})
"""The executors on which several processes can train one model."""


class ExecutorRule(PolicyPart):
    """`ray`, or `{kind: ray, cpus: 4, memory: 16GiB, gpus: 0, workers: 3}`.

    `cpus`, `memory` and `gpus` are what the cluster sets aside for each process; `workers` is how
    many processes train one model together.
    """

    kind: Name = LOCAL
    cpus: float = Field(default=1, ge=0.1, le=1_000)
    memory: Memory = 4 * 2**30
    gpus: int = Field(default=0, ge=0, le=64)
    workers: int = Field(default=1, ge=1, le=256)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.kind == LOCAL and self != ExecutorRule.model_construct():
            message = "the executor local sets nothing aside: it has no cpus, memory, gpus, workers"
            raise ValueError(message)
        if self.workers > 1 and self.kind not in DISTRIBUTED:
            names = ", ".join(sorted(DISTRIBUTED))
            message = f"several workers train one model on {names} only"
            raise ValueError(message)
        return self


def _parse(given: object) -> object:
    return {"kind": given} if isinstance(given, str) else given


def _spell(rule: ExecutorRule) -> Any:  # noqa: ANN401 - a word, or the document
    document = rule.model_dump(mode="json", exclude_defaults=True)
    return rule.kind if set(document) <= {"kind"} else document


Executing = Annotated[
    ExecutorRule,
    BeforeValidator(_parse, json_schema_input_type=Name | ExecutorRule),
    PlainSerializer(_spell),
]
"""The key `executor` of `retrain`; the short form is a word."""
