"""From the syntax of a query to what it asks: every term read by the kind of its field.

What always holds: what a field does not take (an unknown name, a missing key, an order of texts, a
word for a number) is refused with the term's column, before any table is read.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlreg.registry.domain.search_conditions import (
    All,
    AnyOf,
    Champion,
    Condition,
    Member,
    Not,
    Number,
    Text,
    release_of,
)
from mlreg.registry.domain.search_fields import FIELDS, KINDS, ORDERED, STARRED, SearchField
from mlreg.registry.domain.search_language import Both, Either, InvalidQueryError, Negated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlreg.registry.domain.search_language import Part, Term

HEX_DIGITS = 64
FULL_COMMIT = 40
MAX_TEXT = 300
MAX_KEY = 200
_EQUAL = {":", "=", "!="}
_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?Z?)?)?)?", re.ASCII
)


def condition_of(part: Part) -> Condition:
    """Return what a syntax tree asks.

    Raises:
        InvalidQueryError: an unknown field, a missing or needless key, an operator or value that
            the field does not take; names the column.
    """
    if isinstance(part, Negated):
        return Not(condition_of(part.part))
    if isinstance(part, Both):
        return All(tuple(map(condition_of, part.parts)))
    if isinstance(part, Either):
        return AnyOf(tuple(map(condition_of, part.parts)))
    found = _leaf(part, _field_of(part))
    return Not(found) if part.operator == "!=" else found


def _field_of(term: Term) -> SearchField:
    found = FIELDS.get(term.name)
    if found is None:
        problem = f"there is no field {term.name!r}; fields are {', '.join(FIELDS)}"
        raise InvalidQueryError(column=term.column, problem=problem)
    for is_wrong, problem in _PROBLEMS:
        if is_wrong(term, found):
            words = {"term": term, "field": found, "kind": KINDS[found.kind]}
            raise InvalidQueryError(column=term.column, problem=problem.format(**words))
    return found


_PROBLEMS: tuple[tuple[Callable[[Term, SearchField], bool], str], ...] = (
    (
        lambda term, field: field.keyed and term.key is None,
        "{term.name} needs a key: {field.example}",
    ),
    (
        lambda term, field: not field.keyed and term.key is not None,
        "{term.name} takes no key: {field.example}",
    ),
    (
        lambda term, field: (
            term.operator not in _EQUAL and (field.kind not in ORDERED or term.prefix)
        ),
        "{term.name} has no order; use : or != with {kind}",
    ),
    (
        lambda term, field: term.prefix and term.value != "" and field.kind not in STARRED,
        "a star after {kind} means nothing; {term.name}:* is any",
    ),
    (
        lambda term, _field: len(term.fact) > MAX_KEY,
        f"a field with its key has at most {MAX_KEY} characters",
    ),
    (
        lambda term, _field: not (term.value or term.prefix or term.quoted),
        "{term.place} lacks a value",
    ),
)
"""What is wrong with a term for its field, in the order in which it is said."""


def _leaf(term: Term, found: SearchField) -> Condition:
    readers: dict[str, Callable[[Term], Condition]] = {
        "text": _text,
        "digest": _digest,
        "number": _number,
        "moment": _moment,
        "value": _value,
        "member": lambda term: Member("features", _name(term.value), prefix=term.prefix),
        "package": _package,
        "champion": lambda term: Champion(term.value),
    }
    return readers[found.kind](term)


def _text(term: Term) -> Condition:
    return Text(term.fact, (_name(term.value),), prefix=term.prefix)


def _name(value: str) -> str:
    return value[:MAX_TEXT]


def _digest(term: Term) -> Condition:
    match = _HEX.fullmatch(term.value.lower())
    if match is None and term.value:
        problem = f"{term.value[:80]!r} is no digest and no beginning of one"
        raise InvalidQueryError(column=term.column, problem=problem)
    digits = match[1] if match else ""
    if term.name == "git":
        whole = len(digits) >= FULL_COMMIT
        return Text("git", (digits,), prefix=not whole)
    return Text(term.name, (digits,), prefix=len(digits) < HEX_DIGITS)


def _number(term: Term) -> Condition:
    if not term.value and term.prefix:
        return Number(term.fact)
    try:
        value = float(term.value)
    except ValueError:
        value = math.nan
    if term.quoted or not math.isfinite(value):
        problem = f"{term.place} is a number; {term.value[:80]!r} is none"
        raise InvalidQueryError(column=term.column, problem=problem)
    return _range(term.fact, term.operator, value, value)


def _value(term: Term) -> Condition:
    """A hyperparameter is a number or a text; what looks like a number is looked for as both."""
    if term.operator not in _EQUAL:
        return _number(term)
    if term.prefix and not term.value:
        return AnyOf((Number(term.fact), _text(term)))
    if term.quoted or term.prefix:
        return _text(term)
    try:
        return AnyOf((_number(term), _text(term)))
    except InvalidQueryError:
        return _text(term)


def _moment(term: Term) -> Condition:
    """A year, month, day, minute or second is all of it: `>` is after its end."""
    if not term.value and term.prefix:
        return Number(term.name)
    match = _MOMENT.fullmatch(term.value)
    try:
        start, end = _span([int(part) for part in match.groups() if part] if match else [])
    except (ValueError, OverflowError) as error:
        problem = f"{term.value[:80]!r} is no moment; write 2026, 2026-03-01 or 2026-03-01T12:00"
        raise InvalidQueryError(column=term.column, problem=problem) from error
    return _range(term.name, term.operator, start.timestamp(), end.timestamp(), open_end=True)


def _span(parts: Sequence[int]) -> tuple[datetime, datetime]:
    """Return the beginning of a moment that is known so exactly, and of the next one."""
    year, month, *rest = [*parts, 1] if len(parts) == 1 else parts
    start = datetime(year, month, *(rest or [1]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    if len(parts) == 1:
        return start, start.replace(year=year + 1)
    if not rest:
        return start, (start + timedelta(days=31)).replace(day=1)
    units = {1: timedelta(days=1), 3: timedelta(minutes=1), 4: timedelta(seconds=1)}
    return start, start + units[len(rest)]


def _range(
    key: str, operator: str, start: float, end: float, *, open_end: bool = False
) -> Condition:
    return {
        ">": Number(key, low=end, open_low=not open_end),
        ">=": Number(key, low=start),
        "<": Number(key, high=start, open_high=True),
        "<=": Number(key, high=end, open_high=open_end),
    }.get(operator, Number(key, start, end, open_high=open_end))


def _package(term: Term) -> Condition:
    name = re.sub(r"[-_.]+", "-", term.key or "").lower()  # as PEP 503 writes them
    if term.operator not in _EQUAL and release_of(term.value) is None:
        problem = f"{term.value[:80]!r} is no version number"
        raise InvalidQueryError(column=term.column, problem=problem)
    operator = ":" if term.operator == "!=" else term.operator
    return Member("packages", name, operator=operator, value=term.value, open_value=term.prefix)
