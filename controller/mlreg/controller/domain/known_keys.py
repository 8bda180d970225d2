"""Which key of a file was perhaps meant by one that is not there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

LOOKED_UP = 50
"""For so many unknown keys it is said which was perhaps meant."""
LONGEST = 40
"""How long a word is at most that is looked up: no key of the language is longer."""


def meant_by(
    error: ValidationError, kind: type[BaseModel], also: Collection[str] = ()
) -> dict[tuple[str | int, ...], str]:
    """Return for each unknown key that an error names which one was perhaps meant, by its place."""
    found = error.errors(include_url=False)
    unknown = [one["loc"] for one in found if one["type"] == "extra_forbidden"]
    return {place: perhaps_meant(kind, place, also) for place in unknown[:LOOKED_UP]}


def perhaps_meant(
    kind: type[BaseModel], place: Sequence[str | int], also: Collection[str] = ()
) -> str:
    """Return ` (did you mean rounds?)`, or nothing where no key there is much like it.

    Args:
        kind: what the file, or the part of it, is read as.
        place: where in it the unknown key stands, itself last; steps that are no keys are passed.
        also: keys beside those of `kind`, read in another way.
    """
    *way, key = place
    if not isinstance(key, str) or len(key) > LONGEST:
        return ""
    kinds = [kind]
    for step in way:
        kinds = list(_below(kinds, step)) or kinds
    known = {field.alias or name for one in kinds for name, field in one.model_fields.items()}
    close = get_close_matches(key, known.union(() if way else also), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _below(kinds: Sequence[type[BaseModel]], step: str | int) -> Iterator[type[BaseModel]]:
    """Yield what the values of a key may be read as; of an item of a list, what the list is."""
    for one in kinds:
        for name, field in one.model_fields.items():
            if step in {name, field.alias}:
                yield from _parts_in(field.annotation)


def _parts_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts_in(inner)
