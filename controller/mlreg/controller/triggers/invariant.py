"""The trigger of broken invariants: `{invariant: any, share: 0.01}`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.border import ONE, KOfN
from mlreg.controller.domain.readings import WindowReading, usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View
from mlreg.registry.domain.names import Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Streaks = Mapping[str, Sequence[WindowReading]]

LONGEST_LOOK = 60
ANY = "any"
FAMILY = "invariant:"
MOST_EVIDENCE = 10
SHOWN_KEYS = ("monitor", "start", "end", "value", "rows")


class InvariantTrigger(Trigger):
    """Holds when a declared invariant of the rows is broken in k of the newest n windows.

    Broken is what breaks its own declaration; with `share`, where more than that share of the
    checked rows do (then an invariant of a mean, which has no share, is not looked at). `any` looks
    at all that are declared for the model, so none is named `any`.
    """

    kind: ClassVar[str] = "invariant"

    invariant: Name
    share: float | None = Field(default=None, ge=0, lt=1)
    windows: KOfN = ONE
    min_rows: int = Field(default=1, ge=1)

    @property
    @override
    def monitors(self) -> tuple[str, ...]:
        """The readings of the one that it names; none where it looks at all."""
        return () if self.invariant == ANY else (FAMILY + self.invariant,)

    @override
    def need(self, view: View) -> Need:
        """Return the readings of the last sixty windows, and what they rest on."""
        after = view.now - max(LONGEST_LOOK, 2 * self.windows.of) * view.width
        families = (FAMILY,) if self.invariant == ANY else ()
        return Need(self.monitors, after, families, evidence=True)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether any of them was broken in enough windows, and not told of before."""
        streaks = self._streaks(view)
        broken = {name: streak for name, streak in streaks.items() if self._stands(streak)}
        back = tuple(sorted(one for one in view.spent if one in streaks and one not in broken))
        fresh = tuple(sorted(set(broken) - view.spent))
        if not broken:
            because = self._nothing(streaks)
            return Finding.not_held(because, missing=f"{self.windows} that break it", back=back)
        because, evidence = self._because(broken), self._evidence(broken)
        if not fresh:
            because = f"{because}; a run came of it already"
            return Finding.not_held(because, evidence, "its holding again first", back=back)
        return Finding.held(because, evidence, subjects=fresh, back=back)

    def _streaks(self, view: View) -> Streaks:
        streaks: dict[str, list[WindowReading]] = defaultdict(list)
        for monitor, readings in view.readings.items():
            for one in usable(readings):
                if one.rows >= self.min_rows and self._can_judge(one):
                    streaks[monitor.removeprefix(FAMILY)].append(one)
        return streaks

    def _can_judge(self, one: WindowReading) -> bool:
        is_share = (one.evidence or {}).get("kind") != "mean"
        return is_share if self.share is not None else one.verdict is not None

    def _stands(self, streak: Sequence[WindowReading]) -> bool:
        return self.windows.are([self._is_broken(one) for one in streak])

    def _is_broken(self, one: WindowReading) -> bool:
        if self.share is None:
            return one.verdict == "unusual"
        return (one.value or 0.0) > self.share

    def _nothing(self, streaks: Streaks) -> str:
        if not streaks:
            which = "no invariant" if self.invariant == ANY else f"{self.invariant}: nothing"
            return f"{which} was checked that could be judged"
        return "no invariant is broken" if self.invariant == ANY else f"{self.invariant} holds"

    def _because(self, broken: Streaks) -> str:
        named = ", ".join(f"{name} {broken[name][-1].value or 0.0:.4g}" for name in sorted(broken))
        limit = "" if self.share is None else f" by more than {self.share:.2%} of rows"
        return f"broken{limit} in {self.windows}: {named}"

    def _evidence(self, broken: Streaks) -> tuple[dict[str, object], ...]:
        shown = [broken[name][-1] for name in sorted(broken)[:MOST_EVIDENCE]]
        return tuple({key: one.as_evidence()[key] for key in SHOWN_KEYS} for one in shown)
