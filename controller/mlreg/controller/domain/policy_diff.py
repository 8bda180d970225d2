"""What changed between two policies: keys and values, not lines of text.

What always holds: only what the policies mean is compared, so comments, order of keys and defaults
that are written out are no change; two policies without a change do the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from json import dumps
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ABSENT = object()
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One key that is new, gone, or says something else.

    A key that says nothing (null: no bound, no such rule) is as good as none.

    Attributes:
        key: its path, as `triggers[2].above`.
        kind: which of old and new there is.
        old, new: the JSON values; None where there is none.
    """

    key: str
    kind: Kind
    old: Any = None
    new: Any = None


def diff(old: Mapping[str, object] | None, new: Mapping[str, object]) -> list[Change]:
    """Return what is different in the JSON form of a new policy, in its order of keys.

    Args:
        old: of the policy before; None: there was none, and everything is new.
        new: of the policy after.
    """
    return list(_of_mappings({} if old is None else old, new, ""))


def _of_mappings(
    old: Mapping[str, object], new: Mapping[str, object], path: str
) -> Iterator[Change]:
    for key in [*new, *(key for key in old if key not in new)]:
        place = f"{path}.{key}" if path else key
        yield from _of_values(old.get(key, ABSENT), new.get(key, ABSENT), place)


def _of_values(old: object, new: object, path: str) -> Iterator[Change]:
    if old is not ABSENT and new is not ABSENT and _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mappings(old, new, path)
    elif _are_parts(old) and _are_parts(new):
        yield from _of_lists(old, new, path)
    elif old is ABSENT or old is None:
        yield Change(path, "added", new=new)
    elif new is ABSENT or new is None:
        yield Change(path, "removed", old)
    else:
        yield Change(path, "changed", old, new)


def _are_parts(value: object) -> bool:
    """Whether it is a list of triggers, gates ...; a list of names is one value."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _of_lists(old: Any, new: Any, path: str) -> Iterator[Change]:  # noqa: ANN401 - lists of JSON
    """Compare part by part; a part that was put in between moves no other."""
    before, after = ([dumps(one, sort_keys=True) for one in parts] for parts in (old, new))
    found = SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    for what, start, end, first, last in found:
        if what == "equal":
            continue
        together = min(end - start, last - first)
        for place in range(together):
            where = f"{path}[{first + place}]"
            yield from _of_parts(old[start + place], new[first + place], where)
        for place in range(first + together, last):
            yield Change(f"{path}[{place}]", "added", new=new[place])
        for place in range(start + together, end):
            yield Change(f"{path}[{place}]", "removed", old=old[place])


def _of_parts(old: Mapping[str, object], new: Mapping[str, object], path: str) -> Iterator[Change]:
    """Compare two parts key by key if they are of one kind: the kind is the first key."""
    if next(iter(old), None) == next(iter(new), None):
        yield from _of_mappings(old, new, path)
    else:
        yield Change(path, "changed", dict(old), dict(new))


def _same(old: object, new: object) -> bool:
    """Whether two JSON values are one; `1` and `true` are two, wherever they stand."""
    return dumps(old, sort_keys=True) == dumps(new, sort_keys=True)
