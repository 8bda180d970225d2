"""What a policy says about alerts: after how many unusual windows, how loud, how often again.

What always holds: every kind of cause has a rule without any line in the policy; a policy that
changes one key of a rule leaves its other keys as they are.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.policy_part import PolicyPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
AlertKind = Literal[
    "outage",
    "volume",
    "quality",
    "drift",
    "score",
    "labels",
    "concept",
    "performance",
    "estimate",
    "business",
    "invariant",
    "parity",
]
KINDS: tuple[AlertKind, ...] = get_args(AlertKind)


class AlertRule(PolicyPart):
    """When one kind of cause becomes an alert, and when that is over.

    Attributes:
        windows, of: it opens when the same thing was unusual in `windows` of the last `of` windows.
        quiet: it is resolved after so many windows on end in which none of its things is unusual.
        severity: how loud it begins.
        escalate: after so many unusual windows it becomes one step louder, once; None: never.
        remind: while it is open it is told again so often; None: never.
    """

    windows: int = Field(default=2, ge=1, le=100)
    of: int = Field(default=3, ge=1, le=100)
    quiet: int = Field(default=2, ge=1, le=100)
    severity: Severity = "warning"
    escalate: int | None = Field(default=None, ge=1, le=1_000)
    remind: Duration | None = timedelta(days=7)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.windows > self.of:
            message = f"{self.windows} windows of {self.of} are never unusual"
            raise ValueError(message)
        return self


def as_loud_as(rule: AlertRule, declared: Iterable[Severity | None]) -> AlertRule:
    """Return a rule as loud as the loudest of what says so itself; None: as loud as the rule."""
    found = [rule.severity if one is None else one for one in declared]
    if not found:
        return rule
    return rule.model_copy(update={"severity": max(found, key=SEVERITIES.index)})


AT_ONCE = AlertRule(windows=1, of=1)
DEFAULTS: Mapping[AlertKind, AlertRule] = {
    "outage": AlertRule(windows=1, of=1, quiet=1, severity="critical", remind=timedelta(days=1)),
    "volume": AlertRule(),
    "quality": AlertRule(),
    "drift": AlertRule(),
    "score": AlertRule(),
    "labels": AlertRule(),
    "concept": AT_ONCE,
    "performance": AlertRule(escalate=4),
    "estimate": AlertRule(severity="info"),
    "business": AlertRule(),
    "invariant": AT_ONCE,
    "parity": AT_ONCE,
}
Declared = AlertRule | Literal[False]


def _default(kind: AlertKind) -> Declared:
    return DEFAULTS[kind]


class AlertRules(PolicyPart):
    """The rule of each kind of cause; `false`: no alerts of that kind."""

    outage: Declared = _default("outage")
    volume: Declared = _default("volume")
    quality: Declared = _default("quality")
    drift: Declared = _default("drift")
    score: Declared = _default("score")
    labels: Declared = _default("labels")
    concept: Declared = _default("concept")
    performance: Declared = _default("performance")
    estimate: Declared = _default("estimate")
    business: Declared = _default("business")
    invariant: Declared = _default("invariant")
    parity: Declared = _default("parity")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:  # noqa: ANN401 - JSON of any shape, checked after this
        """Fill the keys that a rule leaves out with those of its kind, not with those of all."""
        if not isinstance(given, dict):
            return given
        forms = {kind: rule.model_dump(mode="json") for kind, rule in DEFAULTS.items()}
        return {
            kind: {**forms[kind], **said} if kind in forms and isinstance(said, dict) else said
            for kind, said in given.items()
        }

    def of_kind(self, kind: str) -> AlertRule | None:
        """Return the rule of one of `KINDS`; None where no alerts of it are wanted."""
        declared: Declared = getattr(self, kind)
        return declared or None
