"""Whole numbers between two as a regular expression, for schemas of what people write as text."""

from __future__ import annotations


def between(least: int, most: int) -> str:
    """Return what matches whole numbers from `least` (1 or more) to `most`, spelt the short way."""
    found = []
    for digits in range(len(str(least)), len(str(most)) + 1):
        low, high = max(least, 10 ** (digits - 1)), min(most, 10**digits - 1)
        found += _of_one_length(str(low), str(high))
    return "|".join(found)


def _of_one_length(low: str, high: str) -> list[str]:
    """Return the alternatives of numbers of one length."""
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        first = low[0] if low[0] == high[0] else f"[{low[0]}-{high[0]}]"
        return [first + ("[0-9]" + (f"{{{rest}}}" if rest > 1 else "") if rest else "")]
    if low[0] == high[0]:
        return [low[0] + one for one in _of_one_length(low[1:], high[1:])]
    cut = f"{low[0]}{'9' * rest}"
    if low[1:] == "0" * rest:  # as far as whole leading digits go
        cut = f"{int(high[0]) - 1}{'9' * rest}"
    return [*_of_one_length(low, cut), *_of_one_length(str(int(cut) + 1), high)]
