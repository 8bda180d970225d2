"""The trigger of drift: `{drift: psi, unusual: true, features: any, windows: 2}`."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from mlreg.controller.domain.readings import WindowReading, usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JOINT = "domain_auc"
LONGEST_LOOK = timedelta(days=60)


class DriftTrigger(Trigger):
    """Holds when features are far from the champion's training rows for some windows on end.

    An effect size, not a p-value: `psi` and `wasserstein` (in standard deviations) have no upper
    bound, `jensen_shannon`, `ks` and `cramers_v` lie in 0 to 1; `domain_auc` is of all features
    together, in 0.5 to 1. Far is what lies `above` a number, what is `unusual` for this stream at
    that time of the day and week, or, with both, what is both. Windows of an outage, without rows
    or with fewer than `min_rows` are passed over; while the newest window is one of them, nothing
    holds.
    """

    kind: ClassVar[str] = "drift"

    drift: Literal["psi", "jensen_shannon", "wasserstein", "ks", "cramers_v", "domain_auc"]
    above: float | None = Field(default=None, gt=0)
    unusual: bool = False
    features: Literal["any", "all"] | tuple[str, ...] = "any"
    windows: int = Field(default=1, ge=1, le=60)
    min_rows: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _has_a_border(self) -> Self:
        if self.above is None and not self.unusual:
            message = "needs `above: NUMBER`, `unusual: true`, or both"
            raise ValueError(message)
        if self.drift == JOINT and isinstance(self.features, tuple):
            message = f"{JOINT} is of all features together; it takes no list of them"
            raise ValueError(message)
        return self

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features to watch, where they are named."""
        return self.features if isinstance(self.features, tuple) else ()

    @override
    def need(self, view: View) -> Need:
        """Return the drift readings of the last two months; outages may lie between windows."""
        return Need((self.drift,), view.now - LONGEST_LOOK)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether any (all, any of the named) features stood above for `windows` windows."""
        readings = view.readings.get(self.drift, ())
        newest = max((one.end for one in readings), default=None)
        by_feature = self._streaks(readings)
        if newest not in {streak[-1].end for streak in by_feature.values()}:
            return Finding(holds=False, because="the newest window has no drift to judge")
        drifted = {
            feature: streak[-self.windows :]
            for feature, streak in by_feature.items()
            if self._stands_above(streak)
        }
        evidence = tuple(one.as_evidence() for streak in drifted.values() for one in streak)
        return Finding(self._enough(drifted, by_feature), self._because(drifted), evidence)

    def _streaks(self, readings: Sequence[WindowReading]) -> dict[str, list[WindowReading]]:
        streaks: dict[str, list[WindowReading]] = defaultdict(list)
        for one in usable(readings):
            if one.rows >= self.min_rows and self._watches(one.subject):
                streaks[one.subject].append(one)
        return streaks

    def _watches(self, feature: str) -> bool:
        return isinstance(self.features, str) or feature in self.features

    def _stands_above(self, streak: Sequence[WindowReading]) -> bool:
        last = streak[-self.windows :]
        return len(last) == self.windows and all(map(self._is_far, last))

    def _is_far(self, one: WindowReading) -> bool:
        above = self.above is None or (one.value or 0.0) > self.above
        return above and (not self.unusual or one.verdict == "unusual")

    def _enough(self, drifted: Mapping[str, object], watched: Mapping[str, object]) -> bool:
        return len(drifted) == len(watched) if self.features == "all" else bool(drifted)

    def _because(self, drifted: Mapping[str, Sequence[WindowReading]]) -> str:
        if not drifted:
            return f"no feature's {self.drift} {self._border}"
        worst = sorted(drifted, key=lambda feature: -(drifted[feature][-1].value or 0.0))[:3]
        named = ", ".join(
            f"{feature or 'all features'} {drifted[feature][-1].value:.2f}" for feature in worst
        )
        return f"{self.drift} {self._border} for {self.windows} windows: {named}"

    @property
    def _border(self) -> str:
        above = "" if self.above is None else f"stood above {self.above:g}"
        unusual = "was unusual" if self.unusual else ""
        return " and ".join(part for part in (above, unusual) if part)
