"""What JSON may be here: one reading of it, bounded, and text that a database can keep."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import NoReturn

from mlreg.registry.domain.errors import InvalidError

MAX_DEPTH = 32
MAX_KEYS = 10_000
MAX_STRING = 65_536
MAX_INTEGER_DIGITS = 19
_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_LARGE_EXPONENT = re.compile(rb"(?:^|[\[:,\s])-?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{3}")
_HOLDERS = (dict, list)
_ALLOWED_CONTROLS = "\t\n\r"
_BIDIRECTIONAL = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
)


class InvalidJsonError(InvalidError):
    """A body that is not JSON, or is JSON that two readers may understand differently."""

    code = "invalid_json"

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"the body is not acceptable JSON: {reason}")


def check_json(body: bytes) -> object:
    """Return what a body is; refuse one that is not plain, bounded JSON.

    Raises:
        InvalidJsonError: with the first reason found.
    """
    document = read_json(body)
    if not (_has_plain_texts(body) and _is_shallow(document)):
        check_texts(document)
    return document


def _has_plain_texts(body: bytes) -> bool:
    """Say yes only if `check_texts` would find nothing in a text; a quick look, for short bodies.

    JSON has no raw control character in a string but DEL, and every other way in is an escape.
    """
    return len(body) <= MAX_STRING and body.isascii() and b"\\" not in body and b"\x7f" not in body


def _is_shallow(document: object) -> bool:
    """Say yes only if `check_texts` would not find a document too deep."""
    layer, depth = [document], 0
    while layer and depth < MAX_DEPTH:
        below = (
            holder.values() if isinstance(holder, dict) else holder
            for holder in layer
            if isinstance(holder, _HOLDERS)
        )
        layer = [item for items in below for item in items if isinstance(item, _HOLDERS)]
        depth += 1
    return not layer


def read_json(body: bytes) -> object:
    """Return what a body is, whose numbers and keys are bounded; its texts are still to be checked.

    Raises:
        InvalidJsonError: with the first reason found.
    """
    try:
        reader = _BY_NUMBER if _may_have_large_number(body) else _AT_ONCE
        document: object = reader.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidJsonError(reason="it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidJsonError(reason=f"{error.msg} at {error.pos}") from error
    except RecursionError as error:
        raise InvalidJsonError(reason=f"deeper than {MAX_DEPTH}") from error
    return document


def _may_have_large_number(body: bytes) -> bool:
    """Say no only if no integer is beyond 64 bits and no float beyond a double; a quick look."""
    alike = body.translate(_DIGITS_ALIKE, b"+")
    if b"0" * MAX_INTEGER_DIGITS in alike:
        return True
    return b"e000" in alike and _LARGE_EXPONENT.search(body) is not None  # most digests have one


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJsonError(reason="a key appears twice")
    if len(found) > MAX_KEYS:
        raise InvalidJsonError(reason=f"more than {MAX_KEYS} keys in an object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidJsonError(reason=f"{name} is not a JSON number; send null")


def _bounded_integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_INTEGER_DIGITS or not -(2**63) <= int(text) < 2**63:
        raise InvalidJsonError(reason="an integer is beyond 64 bits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise InvalidJsonError(reason="a number is beyond the range of a double")
    return number


_AT_ONCE = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_BY_NUMBER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_constant,
    parse_int=_bounded_integer,
    parse_float=_finite,
)


def check_texts(value: object) -> None:
    """Refuse a value that is too deep, or has a text that a database cannot keep.

    Raises:
        InvalidJsonError: with the first reason found.
    """
    layer, depth = [value], 0
    while layer:
        if depth > MAX_DEPTH:
            raise InvalidJsonError(reason=f"deeper than {MAX_DEPTH}")
        below: list[object] = []
        for item in layer:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
        layer, depth = below, depth + 1


def _check_text(text: str) -> None:
    if len(text) > MAX_STRING:
        raise InvalidJsonError(reason=f"a string is longer than {MAX_STRING} characters")
    if text.isascii() and text.isprintable():
        return
    if not _BIDIRECTIONAL.isdisjoint(text):
        raise InvalidJsonError(reason="a string has bidirectional control characters")
    for character in text:
        if unicodedata.category(character) in {"Cs", "Cc"} and character not in _ALLOWED_CONTROLS:
            raise InvalidJsonError(reason="a string has control characters or lone surrogates")
