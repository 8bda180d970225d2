"""The language of `mlreg search`: its grammar, its syntax tree, and errors that name the column.

```
features:temp git:3f2a* params.num_leaves>31 (lane:refit or lane:continue) -tag.team=risk
```

What always holds: a query is text in and a tree out, without any table or clock; the tree, written
out again, parses to an equal tree; a query that is refused is refused with a column, what stands
there, and what was expected. What a field means is said in `search_fields.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from typing_extensions import override

from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LENGTH = 4_000
MAX_TERMS = 50
MAX_DEPTH = 20
OPERATORS = (":", "=", "!=", ">", ">=", "<", "<=")
GRAMMAR = r"""
query: either
either: both (_OR both)*
both: one (_AND? one)*
?one: term | negated | "(" either ")"
negated: (_NOT | "-") one
term: FIELD OPERATOR (WORD | QUOTED | QUOTED_PREFIX)

_OR: /or(?=[\s()]|$)/i
_AND: /and(?=[\s()]|$)/i
_NOT: /not(?=[\s()]|$)/i
FIELD.-1: /[A-Za-z_]+(\.("([^"\\]|\\.)+"|[^\s:=<>!()"]+))?/
OPERATOR: ":" | "=" | "!=" | ">=" | "<=" | ">" | "<"
WORD: /[^\s()"]+/
QUOTED.1: /"([^"\\]|\\.)*"/
QUOTED_PREFIX.2: /"([^"\\]|\\.)*"\*/
%import common.WS
%ignore WS
"""
_WORDS = {
    "FIELD": "a field",
    "OPERATOR": "an operator (: = != > >= < <=)",
    "WORD": "a value",
    "QUOTED": "a value",
    "QUOTED_PREFIX": "a value",
    "LPAR": "'('",
    "RPAR": "')'",
    "MINUS": "'-'",
    "_NOT": "'not'",
    "_OR": "'or'",
    "_AND": "'and'",
    "$END": "the end",
}
_PLAIN = re.compile(r'[^\s()"*][^\s()"]*(?<!\*)')
_PLAIN_KEY = re.compile(r'[^\s:=<>!()"]+')


class InvalidQueryError(InvalidError):
    """A query breaks the grammar, or asks a field for what it has not; names the column from 1."""

    code = "invalid_query"
    hint = "A term is FIELD:VALUE, such as model:flights or metric.auc>=0.8."

    def __init__(self, *, column: int, problem: str) -> None:
        self.column = column
        super().__init__(f"column {column}: {problem}")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition as it was written, e.g. `params.num_leaves>31`.

    Attributes:
        name: the field, in lower case.
        key: what follows the field's dot, or None.
        value: without quotes and without the star.
        quoted: it stood in quotes, so it is a text whatever it looks like.
        prefix: a star followed: whatever begins so.
        column: where it began, from 1.
    """

    name: str
    key: str | None
    operator: str
    value: str
    quoted: bool = False
    prefix: bool = False
    column: int = field(default=1, compare=False)

    @override
    def __str__(self) -> str:
        quoted = self.quoted or (self.value != "" and _PLAIN.fullmatch(self.value) is None)
        value = _quote(self.value) if quoted else self.value
        return self.place + self.operator + value + ("*" if self.prefix else "")

    @property
    def fact(self) -> str:
        """The field with its key, as facts are kept under it."""
        return self.name if self.key is None else f"{self.name}.{self.key}"

    @property
    def place(self) -> str:
        """The field with its key, as it is written."""
        if self.key is None:
            return self.name
        plain = _PLAIN_KEY.fullmatch(self.key)
        return f"{self.name}.{self.key if plain else _quote(self.key)}"


@dataclass(frozen=True, slots=True)
class Negated:
    """What must not hold."""

    part: Part

    @override
    def __str__(self) -> str:
        return f"-{self.part}"


@dataclass(frozen=True, slots=True)
class Both:
    """What must hold together; never fewer than two parts."""

    parts: tuple[Part, ...]

    @override
    def __str__(self) -> str:
        return "(" + " ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class Either:
    """What may hold one by one; never fewer than two parts."""

    parts: tuple[Part, ...]

    @override
    def __str__(self) -> str:
        return "(" + " or ".join(map(str, self.parts)) + ")"


Part = Term | Negated | Both | Either


def parse_query(query: str) -> Part:
    """Read a query.

    Raises:
        InvalidQueryError: it is empty, too long or too deep, or breaks the grammar.
    """
    if len(query) > MAX_LENGTH:
        problem = f"a query has at most {MAX_LENGTH} characters"
        raise InvalidQueryError(column=MAX_LENGTH + 1, problem=problem)
    for column, character in enumerate(query, start=1):
        if not (character.isprintable() or character.isspace()):
            raise InvalidQueryError(column=column, problem="a character cannot be printed")
    try:
        tree = _parser().parse(query)
    except UnexpectedInput as error:
        raise _refusal(error, query) from error
    found = _part(cast("Tree[Token]", tree.children[0]), 0)
    if _count(found) > MAX_TERMS:
        raise InvalidQueryError(column=1, problem=f"a query has at most {MAX_TERMS} terms")
    return found


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, start="query", parser="lalr", lexer="contextual")


def _part(tree: Tree[Token], depth: int) -> Part:
    if depth > MAX_DEPTH:
        problem = f"parentheses and negations go at most {MAX_DEPTH} deep"
        raise InvalidQueryError(column=1, problem=problem)
    if tree.data == "term":
        return _term(*cast("list[Token]", tree.children))
    parts = tuple(_part(cast("Tree[Token]", child), depth + 1) for child in tree.children)
    if tree.data == "negated":
        return Negated(parts[0])
    if len(parts) == 1:
        return parts[0]
    return Both(parts) if tree.data == "both" else Either(parts)


def _term(place: Token, operator: Token, value: Token) -> Term:
    name, _, key = place.partition(".")
    return Term(
        name=name.lower(),
        key=(_unquote(key) if key.startswith('"') else key) or None,
        operator=str(operator),
        value=_unquote(value.rstrip("*")) if value.startswith('"') else value.removesuffix("*"),
        quoted=value.startswith('"'),
        prefix=value.endswith("*"),
        column=(place.start_pos or 0) + 1,
    )


def _count(part: Part) -> int:
    if isinstance(part, Term):
        return 1
    return sum(map(_count, (part.part,) if isinstance(part, Negated) else part.parts))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _refusal(error: UnexpectedInput, query: str) -> InvalidQueryError:
    at = cast("int", error.pos_in_stream)  # lark declares it None, and sets it
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        wanted, found = error.expected, repr(str(error.token)[:40])
    elif isinstance(error, UnexpectedCharacters):
        wanted, found = error.allowed or set(), repr(query[at])
    else:
        expected = error.expected if isinstance(error, UnexpectedToken) else set()
        return _expected(expected, "the end", len(query.rstrip()) + 1)
    return _expected(wanted, found, at + 1)


def _expected(wanted: Iterable[str], found: str, column: int) -> InvalidQueryError:
    words = sorted({_WORDS[name] for name in wanted if name in _WORDS and name != "_AND"})
    problem = f"expected {' or '.join(words)}, found {found}"
    return InvalidQueryError(column=column, problem=problem)
