"""The trigger of performance: `{performance: auc, drop: 0.02, against: promotion}`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator
from typing_extensions import override

from mlreg.controller.domain.border import ONE, ONE_SIDED, Border, KOfN, said
from mlreg.controller.domain.metrics import MetricName, greater_is_better
from mlreg.controller.domain.performance import SKILLED
from mlreg.controller.domain.readings import EVERYTHING, Pooled, WindowReading, pool, usable
from mlreg.controller.domain.season import LEAST_ALL, usual
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_LOOK = timedelta(days=400)
METRICS: tuple[MetricName, ...] = get_args(MetricName)
HAVE_SKILL = frozenset(metric for metrics in SKILLED.values() for metric in metrics)
ESTIMATED = frozenset(
    {"auc", "log_loss", "brier", "accuracy", "f1", "precision", "recall"}
    | {"macro_f1", "macro_auc", "mae", "rmse"}
)


NAMED = (*METRICS, *(f"skill_{metric}" for metric in sorted(HAVE_SKILL)))


def _checked_metric(name: str) -> str:
    if name not in NAMED:
        known = ", ".join(METRICS)
        message = f"there is no metric {name!r}; there are {known}, and skill_auc and its like"
        raise ValueError(message)
    return name


class PerformanceTrigger(Trigger):
    """Holds when the champion does worse than it did, than it usually does, or than a number.

    `drop` is of skill, that is of how much better the model is than the prior (the constant that
    fits best) on the same rows: raw loss moves with the seasons, skill does much less. It is
    `against: promotion` (the first matured windows since it, with `min_rows` labelled rows) or
    `against: history` (the median of the champion's own comparable windows of the last weeks). With
    `below` (of a loss `above`) the metric itself is held against a number. Today's value is that of
    the newest windows with `min_rows` rows together; with `windows: {k: 2, of: 3}` two of the three
    newest such groups have to be bad. The sides never share a window, and only windows count that
    this champion served alone; those of an outage are left out. `on: estimated` looks at estimates,
    which are there before labels, and blind to a changed relation of features and labels.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                *ONE_SIDED,
                {"oneOf": [said("drop"), said("above"), said("below")]},
                {"if": said("against", is_a="string"), "then": said("drop")},
            ]
        }
    )
    kind: ClassVar[str] = "performance"

    performance: Annotated[
        str, AfterValidator(_checked_metric), WithJsonSchema({"enum": list(NAMED)})
    ]
    drop: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    release_below: float | None = Field(default=None, allow_inf_nan=False)
    release_above: float | None = Field(default=None, allow_inf_nan=False)
    against: Literal["promotion", "history"] | None = None
    on: Literal["matured", "estimated"] = "matured"
    windows: KOfN = ONE
    min_rows: int = Field(default=1_000, ge=1)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        problem = self._problem()
        if problem:
            raise ValueError(problem)
        return self

    def _problem(self) -> str:
        border = self._border
        if (self.drop is None) != border.is_there:
            return (
                "needs one of `drop: 0.02`, `below: NUMBER` (of a score), `above: NUMBER` (a loss)"
            )
        if self.on == "estimated" and self.performance not in ESTIMATED:
            return f"nobody estimates {self.performance}"
        return self._problem_of_drop() if self.drop is not None else self._problem_of_border()

    def _problem_of_border(self) -> str:
        if self.against is not None:
            return "`against` goes with `drop`"
        if self.performance != "bias" and (self.below is not None) != self._greater:
            better, key = ("higher", "below") if self._greater else ("lower", "above")
            return f"{self.performance} is better when {better}: use `{key}`"
        return ""

    def _problem_of_drop(self) -> str:
        if self.performance.startswith("skill_"):
            plain = self.performance.removeprefix("skill_")
            return f"a drop is one of skill: write `performance: {plain}`"
        if self.against == "history" and self.performance != "bias":
            return ""
        if self.on == "estimated":
            return "estimates have no skill to drop since the promotion: use `against: history`"
        if self.performance not in HAVE_SKILL:
            return f"{self.performance} has no skill, and so no drop against the promotion"
        return ""

    @property
    def monitor(self) -> str:
        """The monitor whose readings this trigger judges."""
        if self.on == "estimated":
            return f"estimated_{self.performance}"
        skill = self.drop is not None and self.performance in HAVE_SKILL
        return f"skill_{self.performance}" if skill else self.performance

    @property
    @override
    def monitors(self) -> tuple[str, ...]:
        """The one that it reads."""
        return (self.monitor,)

    @override
    def need(self, view: View) -> Need:
        """Return the readings since the promotion."""
        longest = view.now - LONGEST_LOOK
        return Need((self.monitor,), max(view.promoted_at or longest, longest))

    @override
    def judge(self, view: View) -> Finding:
        """Say whether enough of the newest windows are worse than they may be."""
        since = view.promoted_at
        if since is None:
            return Finding.not_held("nothing is promoted", missing="a champion")
        found = [one for one in self._usable(view) if one.start >= since and not one.subject]
        first, compared = self._compared(found, view.width)
        pools = _pools(compared, self.windows.of, self.min_rows)
        bad = [self._is_bad(one.value, first) for one in reversed(pools)]
        if not pools or (self._is_first_needed and first is None):
            return self._too_few(found, compared)
        back = (EVERYTHING,) if EVERYTHING in view.spent and not self._is_out(pools, first) else ()
        return self._found(pools, bad, first, (view.spent.difference(back), back))

    def _too_few(
        self, found: Sequence[WindowReading], compared: Sequence[WindowReading]
    ) -> Finding:
        if found and not compared and self.against == "history":
            because = f"{len(found)} windows of this champion do not say yet what is usual"
            return Finding.not_held(because, missing=f"{LEAST_ALL} windows before one to judge")
        because = "too few labelled rows since the promotion"
        return Finding.not_held(because, missing=f"{self.min_rows:,} labelled rows")

    def _usable(self, view: View) -> Sequence[WindowReading]:
        readings = view.readings.get(self.monitor, ())
        if self.on == "matured":
            return usable(readings)
        return usable(one._replace(state="final") for one in readings if one.state == "estimate")

    def _compared(
        self, found: Sequence[WindowReading], width: timedelta
    ) -> tuple[Pooled | None, Sequence[WindowReading]]:
        """Return what is compared with, if that is one value, and the windows to compare."""
        if self.drop is None:
            return None, found
        if self.against != "history":
            first = pool(found, min_rows=self.min_rows)
            return first, found[len(first.readings) :] if first is not None else ()
        past = {one.start: one.value for one in found if one.value is not None}
        usually = [(one, usual(one.start, width, past)) for one in found]
        sign = 1.0 if self._greater or self.monitor.startswith("skill_") else -1.0
        return None, [
            one._replace(value=sign * ((one.value or 0.0) - before))
            for one, before in usually
            if before is not None
        ]

    @property
    def _is_first_needed(self) -> bool:
        return self.drop is not None and self.against != "history"

    def _is_bad(self, value: float, first: Pooled | None) -> bool:
        if self.drop is None:
            return self._border.is_far(value)
        return (first.value if first else 0.0) - value >= self.drop

    def _is_out(self, pools: Sequence[Pooled], first: Pooled | None) -> bool:
        if self.drop is None:
            return self.windows.are([not self._border.is_back(one.value) for one in pools])
        return self.windows.are([self._is_bad(one.value, first) for one in pools])

    def _found(
        self,
        pools: Sequence[Pooled],
        bad: Sequence[bool],
        first: Pooled | None,
        excursion: tuple[frozenset[str], tuple[str, ...]],
    ) -> Finding:
        spent, back = excursion
        because = self._because(pools[0], first)
        evidence = (self._reading(pools, first),)
        if not self.windows.are(bad):
            short = self.windows.short_of(bad)
            missing = f"{short} more of {self.windows} {self._worse}"
            return Finding.not_held(because, evidence, missing, back=back)
        if EVERYTHING in spent:
            because = f"{because}; a run came of it already"
            return Finding.not_held(because, evidence, "its going back first", back=back)
        return Finding.held(because, evidence, subjects=(EVERYTHING,), back=back)

    def _because(self, newest: Pooled, first: Pooled | None) -> str:
        now = newest.value
        if self.drop is None:
            return f"{self.monitor} is {now:.4f} (it fires {self._border})"
        if first is not None:
            return f"skill ({self.performance}) {first.value:.4f} at promotion, {now:.4f} now"
        what, side = self.monitor.replace("_", " "), "worse" if now < 0 else "better"
        return f"{what} is {abs(now):.4f} {side} than it usually is at such times"

    @property
    def _worse(self) -> str:
        return f"down by {self.drop:g}" if self.drop is not None else str(self._border)

    def _reading(self, pools: Sequence[Pooled], first: Pooled | None) -> dict[str, object]:
        newest = pools[0]
        return {
            "monitor": self.monitor,
            **({"at_promotion": first.value} if first is not None else {}),
            "now": newest.value,
            "rows": newest.rows,
            "windows": [one.start.isoformat() for one in reversed(newest.readings)],
            **({"before": [one.value for one in pools[1:]]} if len(pools) > 1 else {}),
        }

    @property
    def _greater(self) -> bool:
        plain = self.performance.removeprefix("skill_")
        if plain != self.performance:
            return True
        return next(greater_is_better(metric) for metric in METRICS if metric == plain)

    @property
    def _border(self) -> Border:
        return Border.of(self.above, self.below, self.release_below, self.release_above)


def _pools(windows: Sequence[WindowReading], most: int, min_rows: int) -> list[Pooled]:
    """Return the newest disjoint groups of windows with enough rows each, newest first."""
    left = list(reversed(windows))
    found: list[Pooled] = []
    while len(found) < most and (one := pool(left, min_rows=min_rows)) is not None:
        found.append(one)
        left = left[len(one.readings) :]
    return found
