"""A query's parameters: `:start` and `:end`, found as PostgreSQL would read the text.

What always holds: what stands in a string, a quoted name, a comment or a cast is left alone; the
values never become part of the text.
"""

from __future__ import annotations

import re

_TOKENS = re.compile(
    r"""
      (?P<kept> --[^\n]*                         # a comment
        | /\*.*?\*/
        | [eE]'(?:[^'\\]|\\.|'')*'               # a string with escapes
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"                         # a quoted name
        | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$ # a dollar-quoted string
        | ::                                     # a cast
        | [A-Za-z_0-9]+
      )
    | :(?P<name>start|end)\b
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)


def with_parameters(query: str) -> str:
    """Return the query as psycopg takes it: `%(start)s` for `:start`, every other percent twice."""
    return _TOKENS.sub(_replaced, query)


def parameters_of(query: str) -> frozenset[str]:
    """Return which of `start` and `end` the query asks for."""
    return frozenset(one["name"] for one in _TOKENS.finditer(query) if one["name"])


def _replaced(found: re.Match[str]) -> str:
    if found["name"]:
        return f"%({found['name']})s"
    return found[0].replace("%", "%%")
