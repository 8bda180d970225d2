"""The answer of a backtest in words: how often should we retrain?

What always holds: a policy is called better only where the interval says so for all policies
together; of those that cannot be told from the best, the cheapest of the frontier is named, so that
nothing in the grid is cheaper and better than what is advised; one whose gain may be chance is
named only where no other has a sure one; that retraining makes no measurable difference is an
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.backtest_frontier import pareto
from mlreg.controller.domain.backtest_grid import EVERY_WINDOW, NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.backtest_freshness import Aged
    from mlreg.controller.domain.backtest_frontier import Interval95, Standing


def answer(
    metric: str,
    standings: Mapping[str, Standing],
    costs: Mapping[str, float],
    aged: Sequence[Aged],
) -> list[str]:
    """Return what to do, what it would gain, and what age costs, a sentence each.

    Args:
        metric: what was measured.
        standings: by policy, `never` among them.
        costs: seconds of training by policy.
        aged: the freshness curve.
    """
    word = metric.replace("_", " ")
    best = min(standings, key=lambda name: standings[name].behind.estimate)
    said = _unknown(word, standings, best) or _advice(word, standings, costs, best)
    return [*said, *_age(aged)]


def _unknown(word: str, standings: Mapping[str, Standing], best: str) -> list[str]:
    if standings[best].gain.low is not None:
        return []
    value, never = standings[best].value.estimate, standings[NEVER].value.estimate
    said = (
        f"Too few days were replayed to tell anything: {word} {value:.4f} under {best!r},"
        f" {never:.4f} without retraining."
    )
    return [said]


def _advice(
    word: str, standings: Mapping[str, Standing], costs: Mapping[str, float], best: str
) -> list[str]:
    alike = [name for name, one in standings.items() if not one.behind.is_above_nothing]
    front = pareto({name: (-one.behind.estimate, costs[name]) for name, one in standings.items()})
    fit = front.intersection(alike)
    sure = {name for name in fit if name == NEVER or standings[name].gain.is_above_nothing}
    chosen = min(sure or fit, key=lambda name: (costs[name], name != NEVER, name))
    if chosen == NEVER:
        return [_no_difference(word, standings, best)]
    gain = standings[chosen].gain
    first = (
        f"Retrain by {chosen!r}: {word} {standings[chosen].value.estimate:.4f} instead of"
        f" {standings[NEVER].value.estimate:.4f} without retraining, a gain of {_spell(gain)}."
    )
    said = [first]
    if not gain.is_above_nothing:
        said.append("That gain itself may be chance.")
    dearer = [name for name in alike if costs[name] > costs[chosen]]
    if dearer:
        said.append(_no_more(standings, costs, chosen, dearer))
    return said


def _no_difference(word: str, standings: Mapping[str, Standing], best: str) -> str:
    never = standings[NEVER]
    if best == NEVER:
        return (
            f"Retraining makes no measurable difference: no policy had a better {word} than the"
            f" first model, {never.value.estimate:.4f}."
        )
    return (
        f"Retraining makes no measurable difference: {word} {never.value.estimate:.4f} without it,"
        f" {standings[best].value.estimate:.4f} under {best!r}, the best of {len(standings)};"
        f" that gain, {_spell(standings[best].gain)}, may be chance."
    )


def _no_more(
    standings: Mapping[str, Standing], costs: Mapping[str, float], chosen: str, dearer: list[str]
) -> str:
    shown = EVERY_WINDOW if EVERY_WINDOW in dearer else max(dearer, key=lambda name: costs[name])
    ahead = standings[chosen].behind.estimate - standings[shown].behind.estimate
    times = costs[shown] / max(costs[chosen], 1e-9)
    return (
        f"Training more gains nothing that can be told from chance: {shown!r} trains"
        f" {times:.1f} times as long for {ahead:+.4f}."
    )


def _age(aged: Sequence[Aged]) -> list[str]:
    if not aged:
        return []
    known = [one for one in aged if one.lost.low is not None]
    if not known:
        return ["There are too few weeks to tell what age costs."]
    surely = [one for one in known if one.lost.is_above_nothing]
    if not surely:
        weeks, lost = known[-1].weeks, _spell(known[-1].lost)
        return [f"Age costs nothing measurable up to {weeks} weeks ({lost} loss per row)."]
    first = surely[0]
    return [f"A model that is {_weeks(first.weeks)} old loses {_spell(first.lost)} per row."]


def _weeks(count: int) -> str:
    return "a week" if count == 1 else f"{count} weeks"


def _spell(one: Interval95) -> str:
    if one.low is None or one.high is None:
        return f"{one.estimate:+.4f}"
    return f"{one.estimate:+.4f} ({one.low:+.4f} to {one.high:+.4f})"
