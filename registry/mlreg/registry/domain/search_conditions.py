"""What a query asks, as conditions on facts: typed, simplified, and free of spelling.

What always holds: a condition that can never hold becomes `Nothing` before any table is read (an
empty range, one lane and another at once, a thing and its contrary); `Member` and `Champion` stand
for what only the tables know, and `resolve` replaces them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_RELEASE = re.compile(r"(\d{1,9}(?:\.\d{1,9})*)(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """A text fact under `key` that is one of `values`, or begins as its only value does."""

    key: str
    values: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A number fact under `key` between `low` and `high`; `open_…` leaves that end out."""

    key: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no number lies in it."""
        return self.low > self.high or (self.low == self.high and (self.open_low or self.open_high))


@dataclass(frozen=True, slots=True)
class Member:
    """A set of this kind with a member `name` whose value passes; only packages have values."""

    kind: Literal["features", "packages"]
    name: str
    prefix: bool = False
    operator: str = ":"
    value: str = ""
    open_value: bool = True

    def accepts(self, value: str) -> bool:
        """Whether a member's value (a package's version) passes.

        Release numbers are compared as PEP 440 does, 4.6 being 4.6.0; what follows them makes a
        version earlier (4.6rc1, 4.6.dev0) or later (4.6.post1, 4.6+cu12).
        """
        if self.open_value:
            return value.startswith(self.value)
        if self.operator in {":", "="}:
            return value == self.value or release_of(value) == release_of(self.value)
        ours, wanted = release_of(value), release_of(self.value)
        if ours is None or wanted is None:
            return False
        return {
            ">": ours > wanted,
            ">=": ours >= wanted,
            "<": ours < wanted,
            "<=": ours <= wanted,
        }[self.operator]


@dataclass(frozen=True, slots=True)
class Champion:
    """It is the champion of its model in an environment."""

    environment: str


@dataclass(frozen=True, slots=True)
class Ids:
    """It is one of these, by their place in the order of registration."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every one holds; without any, everything."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one holds; without any, nothing."""

    parts: tuple[Condition, ...] = ()


Leaf = Text | Number | Member | Champion | Ids
Condition = Leaf | Not | All | AnyOf
EVERYTHING = All()
NOTHING = AnyOf()
_SINGLE = frozenset({"model", "lane", "trainer", "flavour", "by", "trained_by", "git", "dirty"})


def leaves_of(condition: Condition) -> Iterator[Leaf]:
    """Yield the leaves of a condition, each as often as it stands there."""
    if isinstance(condition, Not):
        yield from leaves_of(condition.part)
    elif isinstance(condition, All | AnyOf):
        for part in condition.parts:
            yield from leaves_of(part)
    else:
        yield condition


def resolve(condition: Condition, known: Callable[[Leaf], Condition]) -> Condition:
    """Return the condition with each leaf replaced by what is known of it."""
    if isinstance(condition, Not):
        return Not(resolve(condition.part, known))
    if isinstance(condition, All | AnyOf):
        parts = tuple(resolve(part, known) for part in condition.parts)
        return replace(condition, parts=parts)
    return known(condition)


def simplified(condition: Condition) -> Condition:
    """Return an equal condition: flat, each part once, ranges joined, contradictions found."""
    if isinstance(condition, Not):
        return _not(simplified(condition.part))
    if isinstance(condition, All):
        return _all(_flat(All, map(simplified, condition.parts)))
    if isinstance(condition, AnyOf):
        return _any(_flat(AnyOf, map(simplified, condition.parts)))
    empty = condition == Ids(()) or (isinstance(condition, Text) and not condition.values)
    if isinstance(condition, Number):
        empty = condition.is_empty
    return NOTHING if empty else condition


def _not(part: Condition) -> Condition:
    if isinstance(part, AnyOf):  # parts that must hold together: the first ones may leave few
        return simplified(All(tuple(map(Not, part.parts))))
    if part == EVERYTHING:
        return NOTHING
    return part.part if isinstance(part, Not) else Not(part)


def _all(parts: Sequence[Condition]) -> Condition:
    parts = _joined(parts)
    contrary = any(isinstance(part, Not) and part.part in parts for part in parts)
    if contrary or NOTHING in parts or _disagree(parts):
        return NOTHING
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _any(parts: Sequence[Condition]) -> Condition:
    parts = _united(parts)
    contrary = any(isinstance(part, Not) and part.part in parts for part in parts)
    if contrary or EVERYTHING in parts:
        return EVERYTHING
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _flat(kind: type[All | AnyOf], parts: Iterable[Condition]) -> list[Condition]:
    """Return the parts, those of the same kind opened, each once."""
    opened: list[Condition] = []
    for part in parts:
        opened.extend(part.parts if isinstance(part, kind) else (part,))
    return list(dict.fromkeys(opened))


def _united(parts: Sequence[Condition]) -> list[Condition]:
    """Return the parts with the texts of one key made one."""
    values: dict[str, dict[str, None]] = {}
    rest: list[Condition] = []
    for part in parts:
        if isinstance(part, Text) and not part.prefix:
            values.setdefault(part.key, {}).update(dict.fromkeys(part.values))
        else:
            rest.append(part)
    return [*rest, *(Text(key, tuple(found)) for key, found in values.items())]


def _joined(parts: Sequence[Condition]) -> list[Condition]:
    """Return the parts with the ranges of one key made one: a version has one number per key."""
    ranges: dict[str, Number] = {}
    rest: list[Condition] = []
    for part in parts:
        if not isinstance(part, Number):
            rest.append(part)
        elif part.key in ranges:
            ranges[part.key] = _overlap(ranges[part.key], part)
        else:
            ranges[part.key] = part
    return [*(NOTHING if one.is_empty else one for one in ranges.values()), *rest]


def _overlap(one: Number, other: Number) -> Number:
    low = max((one.low, one.open_low), (other.low, other.open_low))
    high = min((one.high, not one.open_high), (other.high, not other.open_high))
    return Number(one.key, low[0], high[0], open_low=low[1], open_high=not high[1])


def _disagree(parts: Iterable[Condition]) -> bool:
    """Whether two parts want different values of a fact that there is but one of."""
    wanted: dict[str, set[str]] = {}
    for part in parts:
        if isinstance(part, Text) and not part.prefix and _is_single(part.key):
            present = wanted.get(part.key)
            both = set(part.values) if present is None else present & set(part.values)
            wanted[part.key] = both
    return not all(wanted.values())


def _is_single(key: str) -> bool:
    return key in _SINGLE or key.startswith(("tag.", "params."))


def release_of(version: str) -> tuple[tuple[int, ...], int, str] | None:
    """Return a version number as what is compared, None when it is none."""
    match = _RELEASE.fullmatch(version)
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    rest = match[2]
    word = rest.lstrip("-_.")
    early = word[:1].isalpha() and not word.startswith("post")
    return tuple(numbers), -1 if early else int(bool(rest)), rest
