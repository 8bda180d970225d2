"""Which of two invariants no row with known values can keep both.

What always holds: what is named here is impossible, whatever the rows are; that nothing is named
does not say that all can be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.controller.domain.invariants.bounds import Bounds
from mlreg.controller.domain.invariants.invariant import RowInvariant
from mlreg.controller.domain.invariants.mean import Mean
from mlreg.controller.domain.invariants.members import Members
from mlreg.controller.domain.invariants.monotone import Monotone
from mlreg.controller.domain.invariants.pattern import Pattern
from mlreg.controller.domain.invariants.relation import Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlreg.controller.domain.invariants.invariant import Invariant

_ORDERS: Mapping[str, frozenset[int]] = {
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    "==": frozenset({0}),
    "!=": frozenset({-1, 1}),
    ">=": frozenset({0, 1}),
    ">": frozenset({1}),
}


def contradictions(invariants: Sequence[Invariant]) -> Iterator[tuple[int, int]]:
    """Yield the places of pairs that contradict each other, the earlier one first."""
    for later, second in enumerate(invariants):
        for earlier, first in enumerate(invariants[:later]):
            if _excludes(first, second) or _excludes(second, first):
                yield earlier, later


def _excludes(first: Invariant, second: Invariant) -> bool:
    share = sum(one.at_most for one in (first, second) if isinstance(one, RowInvariant))
    rule = _RULES.get((type(first), type(second)))
    return share < 1 and rule is not None and rule(first, second)


def _bounds(first: Bounds, second: Bounds) -> bool:
    return first.range == second.range and first.interval.common(second.interval).is_empty


def _mean_in_bounds(first: Mean, second: Bounds) -> bool:
    if first.mean != second.range or second.at_most:
        return False
    return first.interval.common(second.interval).is_empty


def _means(first: Mean, second: Mean) -> bool:
    return first.mean == second.mean and first.interval.common(second.interval).is_empty


def _members(first: Members, second: Members) -> bool:
    return first.in_set == second.in_set and not set(first.values) & set(second.values)


def _members_in_bounds(first: Members, second: Bounds) -> bool:
    numbers = [value for value in first.values if not isinstance(value, str)]
    return first.in_set == second.range and not any(map(second.interval.holds, numbers))


def _members_of_form(first: Members, second: Pattern) -> bool:
    texts = [value for value in first.values if isinstance(value, str)]
    return first.in_set == second.matches and not second.matched(pa.array(texts, pa.string())).any()


def _monotone(first: Monotone, second: Monotone) -> bool:
    both = (first.monotone, first.per) == (second.monotone, second.per)
    return both and first.direction != second.direction and (first.strictly or second.strictly)


def _relations(first: Relation, second: Relation) -> bool:
    if any(one.tolerance or one.relative for one in (first, second)):
        return False
    orders, others = _ORDERS[first.equation.sign], _ORDERS[second.equation.sign]
    one, other = first.equation, second.equation
    if (one.left, one.right) == (other.right, other.left):
        others = frozenset(-order for order in others)
    elif (one.left, one.right) != (other.left, other.right):
        return False
    return not orders & others


_RULES: Mapping[tuple[type[Invariant], type[Invariant]], Callable[..., bool]] = {
    (Bounds, Bounds): _bounds,
    (Mean, Bounds): _mean_in_bounds,
    (Mean, Mean): _means,
    (Members, Members): _members,
    (Members, Bounds): _members_in_bounds,
    (Members, Pattern): _members_of_form,
    (Monotone, Monotone): _monotone,
    (Relation, Relation): _relations,
}
