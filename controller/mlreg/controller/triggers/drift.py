"""The trigger of drift: `{drift: psi, unusual: true, features: any, windows: {k: 3, of: 5}}`."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from typing_extensions import override

from mlreg.controller.domain.border import ONE, ONE_SIDED, Border, KOfN, said
from mlreg.controller.domain.readings import EVERYTHING, WindowReading, usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View
from mlreg.controller.domain.watchable import (
    DETECTORS,
    NAMED,
    OF_FEATURES,
    checked_monitor,
    least_rows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Streaks = Mapping[str, Sequence[WindowReading]]

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda one: tuple(one) if isinstance(one, list) else one),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
"""A list is a tuple here: what a `before` validator returns is no JSON any more to pydantic."""
LONGEST_LOOK = 60
"""How many windows are looked back, at least: outages may lie between."""
TOLD = 0.5
"""Between what a detector says of a window in which it tells of a change, and of any other."""
SHOWN = 3
MOST_EVIDENCE = 10


class DriftTrigger(Trigger):
    """Holds when a monitor stands beyond a border in k of the newest n windows.

    Any monitor of the log: how far features, scores or labels lie from the champion's training
    rows, shares of missing values, change detectors on the loss, business metrics. Far is what lies
    `above` or `below` a number, what is `unusual` for this stream at that time of the day and week,
    or, with both, what is both. Only windows count that the champion has seen the end of, without
    those of an outage, without rows, or with fewer than `min_rows`; while the newest window is one
    of them, nothing holds. Once a run came of it, the same excursion does not hold again before it
    went back (fewer than k windows beyond `release_below`, `release_above`).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                *ONE_SIDED,
                {
                    "anyOf": [
                        said("above"),
                        said("below"),
                        {"required": ["unusual"], "properties": {"unusual": {"const": True}}},
                        {"properties": {"drift": {"enum": [*sorted(DETECTORS)]}}},
                    ]
                },
                {
                    "if": said("features", is_a="array"),
                    "then": {"properties": {"drift": {"enum": [*sorted(OF_FEATURES)]}}},
                },
            ]
        }
    )
    kind: ClassVar[str] = "drift"

    drift: Annotated[str, AfterValidator(checked_monitor), WithJsonSchema(NAMED)]
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    unusual: bool = False
    release_below: float | None = Field(default=None, allow_inf_nan=False)
    release_above: float | None = Field(default=None, allow_inf_nan=False)
    features: Literal["any", "all"] | Names = "any"
    windows: KOfN = ONE
    min_rows: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _of_detectors(cls, form: Any) -> Any:  # noqa: ANN401 - whatever the file says
        """A detector says yes or no: it needs no border."""
        if not isinstance(form, dict) or "above" in form:
            return form
        named = form.get("drift")
        is_detector = isinstance(named, str) and named in DETECTORS
        return {**form, "above": TOLD} if is_detector else form

    @field_validator("above")
    @classmethod
    def _can_be_reached(cls, above: float | None, rest: ValidationInfo) -> float | None:
        if above is not None and above < 0 and rest.data.get("drift") in OF_FEATURES:
            message = f"{rest.data['drift']} is never below 0"
            raise ValueError(message)
        return above

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        border = self._border
        if not border.is_there and not self.unusual:
            message = "needs `above: NUMBER`, `below: NUMBER` or `unusual: true`"
            raise ValueError(message)
        if isinstance(self.features, tuple) and self.drift not in OF_FEATURES:
            message = f"{self.drift} is of no single feature; it takes no list of them"
            raise ValueError(message)
        if self.features == ():
            message = "`features` names none"
            raise ValueError(message)
        return self

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features to watch, where they are named."""
        return self.features if isinstance(self.features, tuple) else ()

    @property
    @override
    def monitors(self) -> tuple[str, ...]:
        """The one that it watches."""
        return (self.drift,)

    @override
    def need(self, view: View) -> Need:
        """Return the readings of the last sixty windows, under this champion."""
        after = view.now - max(LONGEST_LOOK, 2 * self.windows.of) * view.width
        return Need((self.drift,), max(after, view.promoted_at or after))

    @override
    def judge(self, view: View) -> Finding:
        """Say whether any (all, any of the named) features stood beyond it in enough windows."""
        since = view.promoted_at
        readings = [
            one for one in view.readings.get(self.drift, ()) if since is None or one.end > since
        ]
        streaks = self._streaks(readings)
        back = tuple(sorted(one for one in view.spent if self._is_back(one, streaks)))
        newest = max((one.end for one in readings), default=None)
        if newest not in {streak[-1].end for streak in streaks.values()}:
            because = "the newest window has no drift to judge"
            return Finding.not_held(because, missing="a window with rows", back=back)
        drifted = {one: streak for one, streak in streaks.items() if self._stands_far(streak)}
        if self.features == "all" and len(drifted) < len(streaks):
            drifted = {}
        return self._found(drifted, streaks, view.spent.difference(back), back)

    def _found(
        self, drifted: Streaks, streaks: Streaks, spent: frozenset[str], back: tuple[str, ...]
    ) -> Finding:
        if not drifted:
            because = f"no {self._whose} stood {self._far}"
            missing = self._missing(streaks)
            nearest = self._worst(streaks, 1)
            return Finding.not_held(because, self._evidence(nearest), missing, back=back)
        subjects = (EVERYTHING,) if self.features == "all" else tuple(sorted(drifted))
        fresh = tuple(one for one in subjects if one not in spent)
        shown = drifted if self.features == "all" else {one: drifted[one] for one in fresh}
        if not fresh:
            because = f"{self._because(drifted)}; a run came of it already"
            evidence = self._evidence(self._worst(drifted, 1))
            return Finding.not_held(because, evidence, "its going back first", back=back)
        evidence = self._evidence(self._worst(shown, MOST_EVIDENCE))
        return Finding.held(self._because(shown), evidence, subjects=fresh, back=back)

    def _streaks(self, readings: Sequence[WindowReading]) -> dict[str, list[WindowReading]]:
        least = least_rows(self.drift) if self.min_rows is None else self.min_rows
        watched = None if isinstance(self.features, str) else self.features
        streaks: dict[str, list[WindowReading]] = defaultdict(list)
        for one in usable(readings):
            if one.rows >= least and (watched is None or one.subject in watched):
                streaks[one.subject].append(one)
        return streaks

    def _stands_far(self, streak: Sequence[WindowReading]) -> bool:
        return self.windows.are([self._is_far(one) for one in streak[-self.windows.of :]])

    def _is_far(self, one: WindowReading) -> bool:
        far = one.value is not None and self._border.is_far(one.value)
        return far and (not self.unusual or one.verdict == "unusual")

    def _is_back(self, subject: str, streaks: Streaks) -> bool:
        """Whether an excursion is over; unknown while no window says anything of it."""
        if self.features == "all":
            return any(not self.windows.are(self._out(streak)) for streak in streaks.values())
        return subject in streaks and not self.windows.are(self._out(streaks[subject]))

    def _out(self, streak: Sequence[WindowReading]) -> list[bool]:
        """Return by window whether it is still out: not beyond the release, nor usual again."""
        return [
            one.value is not None
            and not self._border.is_back(one.value)
            and (not self.unusual or one.verdict == "unusual")
            for one in streak[-self.windows.of :]
        ]

    def _worst(self, streaks: Streaks, most: int) -> dict[str, Sequence[WindowReading]]:
        sign = 1.0 if self.below is not None else -1.0
        ordered = sorted(streaks, key=lambda one: (sign * (streaks[one][-1].value or 0.0), one))
        return {subject: streaks[subject] for subject in ordered[:most]}

    def _evidence(self, streaks: Streaks) -> tuple[dict[str, object], ...]:
        last = self.windows.of
        return tuple(one.as_evidence() for streak in streaks.values() for one in streak[-last:])

    def _because(self, drifted: Streaks) -> str:
        named = ", ".join(
            f"{subject or self._whole} {streak[-1].value:.4g}"
            for subject, streak in self._worst(drifted, SHOWN).items()
        )
        more = f" and {len(drifted) - SHOWN} more" if len(drifted) > SHOWN else ""
        return f"{self.drift} stood {self._far}: {named}{more}"

    def _missing(self, streaks: Streaks) -> str:
        """Say how many windows are short, of the subject that is nearest."""
        short, subject = min(
            (self.windows.short_of([self._is_far(one) for one in streak]), subject)
            for subject, streak in self._worst(streaks, 1).items()
        )
        value = streaks[subject][-1].value or 0.0
        windows = "1 more window" if short == 1 else f"{short} more windows"
        return f"{windows} {self._beyond}; {subject or self._whole} is at {value:.4g}"

    @cached_property
    def _border(self) -> Border:
        return Border.of(self.above, self.below, self.release_below, self.release_above)

    @property
    def _beyond(self) -> str:
        unusual = "unusual" if self.unusual else ""
        return " and ".join(part for part in (str(self._border), unusual) if part)

    @property
    def _far(self) -> str:
        return f"{self._beyond} for {self.windows}"

    @property
    def _whole(self) -> str:
        return "all features" if self.drift == "domain_auc" else "it"

    @property
    def _whose(self) -> str:
        return f"feature's {self.drift}" if self.drift in OF_FEATURES else self.drift
