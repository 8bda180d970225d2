"""The small language of relations: two sides and a sign between them.

```
relation := side sign side        sign  := <= | < | >= | > | == | !=
side     := term [operator term]  operator := * | / | + | -
term     := number | feature | `feature with any name`
```

What always holds: whatever text it is, it is read or refused in one pass; nothing of it is ever
given to Python to evaluate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlreg.controller.domain.invariants.rows import Numbers

SIGNS = ("<=", ">=", "==", "!=", "<", ">")
OPERATORS: Mapping[str, Callable[[Numbers, Numbers], Numbers]] = {
    "*": np.multiply,
    "/": np.divide,
    "+": np.add,
    "-": np.subtract,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|`(?P<quoted>[^`]+)`"
    r"|(?P<sign><=|>=|==|!=|<|>)|(?P<operator>[-*/+]))"
)


@dataclass(frozen=True, slots=True)
class Term:
    """A feature, or a number."""

    name: str | None
    number: float = 0.0

    def value(self, columns: Mapping[str, Numbers]) -> Numbers:
        """Return its values."""
        return np.float64(self.number) if self.name is None else columns[self.name]  # type: ignore[return-value]  # broadcasts


@dataclass(frozen=True, slots=True)
class Side:
    """A term, or two of them put together."""

    first: Term
    operator: str | None = None
    second: Term | None = None

    def value(self, columns: Mapping[str, Numbers]) -> Numbers:
        """Return its values; whole numbers stay exact where nothing is done with them."""
        if self.operator is None or self.second is None:
            return self.first.value(columns)
        first, second = (
            np.asarray(term.value(columns), dtype=np.float64) for term in (self.first, self.second)
        )
        return OPERATORS[self.operator](first, second)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Its one or two terms."""
        return (self.first,) if self.second is None else (self.first, self.second)


@dataclass(frozen=True, slots=True)
class Equation:
    """Two sides and the sign between them."""

    left: Side
    sign: str
    right: Side

    @property
    def columns(self) -> tuple[str, ...]:
        """The features in it, each once."""
        terms = (*self.left.terms, *self.right.terms)
        return tuple(dict.fromkeys(term.name for term in terms if term.name is not None))


def read_equation(text: str) -> Equation:
    """Return the relation that a text is.

    Raises:
        ValueError: it is none; the message says where.
    """
    tokens = list(_tokens(text))
    places = [place for place, (kind, _) in enumerate(tokens) if kind == "sign"]
    if len(places) != 1:
        message = f"{text[:80]!r} must have one of {' '.join(SIGNS)} between two sides"
        raise ValueError(message)
    place = places[0]
    left, right = _side(tokens[:place], text), _side(tokens[place + 1 :], text)
    return Equation(left, tokens[place][1], right)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place, expects_term = 0, True
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is not None and found.lastgroup == "number" and not expects_term:
            found = re.compile(r"\s*(?P<operator>-)").match(text, place)  # `a -1`: a minus 1
        if found is None or found.lastgroup is None:
            message = f"{text[place:].strip()[:40]!r} is no feature, number or sign"
            raise ValueError(message)
        kind = "name" if found.lastgroup == "quoted" else found.lastgroup
        expects_term = kind in {"sign", "operator"}
        yield kind, found[found.lastgroup]
        place = found.end()


def _side(tokens: list[tuple[str, str]], text: str) -> Side:
    kinds = ["term" if kind in {"name", "number"} else kind for kind, _ in tokens]
    if kinds == ["term"]:
        return Side(_term(tokens[0]))
    if kinds == ["term", "operator", "term"]:
        return Side(_term(tokens[0]), tokens[1][1], _term(tokens[2]))
    message = f"a side of {text[:80]!r} must be one feature or number, or two with * / + - between"
    raise ValueError(message)


def _term(token: tuple[str, str]) -> Term:
    kind, spelt = token
    if kind == "name":
        return Term(spelt)
    number = float(spelt)
    if not np.isfinite(number):
        message = f"{spelt[:40]} is too large"
        raise ValueError(message)
    return Term(None, number)
