"""Queries of a search: a condition on facts becomes SQL whose cost has a bound.

What always holds: a fact is looked up in the primary key of its table and nowhere else; a window
of blocks is answered by joining sets of ids (PostgreSQL's planner is told not to loop, for it
cannot know how common a value of one key is); a few candidates are looked at one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Double,
    Integer,
    Numeric,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from mlreg.registry.domain.search_conditions import (
    All,
    AnyOf,
    Condition,
    Ids,
    Not,
    Number,
    Text,
)
from mlreg.registry.store.search_index import BLOCK_BITS
from mlreg.registry.store.tables import METADATA, Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Select

    from mlreg.registry.store.database import ReadSession

_place = METADATA.tables["search_version"]
_text = METADATA.tables["search_text"]
_number = METADATA.tables["search_number"]
_member = METADATA.tables["search_member"]
_version = METADATA.tables["version"]
_gone = _version.alias("gone")
_model = METADATA.tables["model"]
_deployment = METADATA.tables["deployment"]

LAST = "\U0010ffff"
BEYOND = 1e300  # as in the index: no number beyond it is a fact
_SETTINGS = {
    "windows": {"enable_nestloop": "off", "enable_bitmapscan": "off", "enable_seqscan": "off"},
    "candidates": {"enable_nestloop": "on", "enable_bitmapscan": "on", "enable_seqscan": "on"},
}
_COLUMNS: dict[str, ColumnElement[float]] = {
    "version": cast(_version.c.number, Double),
    "parent": cast(_version.c.parent, Double),
    "run": cast(_version.c.run_id, Double),
    "created": cast(func.extract("epoch", _version.c.created_at), Double),
    "trained_until": cast(func.extract("epoch", _version.c.train_end), Double),
    "duration": cast(_version.c.duration_seconds, Double),
    "memory": cast(_version.c.peak_memory_bytes, Double),
}
_DOCUMENTS = {
    "metric": _version.c.metrics,
    "params": _version.c.hyperparameters,
    "seed": _version.c.seeds,
}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of ids, newest first: those of `blocks` that are below `below`."""

    blocks: tuple[int, ...]
    below: int


def newest_id(session: ReadSession) -> int:
    """Return the place of the version that was registered last, 0 when there is none."""
    newest: int = session.execute(select(func.coalesce(func.max(_place.c.id), 0))).scalar_one()
    return newest


def hidden_models(session: ReadSession) -> Sequence[int]:
    """Return the ids of models that are archived or deleted."""
    hidden = _model.c.archived_at.is_not(None) | _model.c.deleted_at.is_not(None)
    return session.execute(select(_model.c.id).where(hidden)).scalars().all()


def find_sets(
    session: ReadSession, kind: str, name: str, *, prefix: bool
) -> Mapping[str, list[str]]:
    """Return the sets with a member of that name (or beginning), by the member's value."""
    named = _member.c.name == name
    if prefix:
        named = (_member.c.name >= name) & (_member.c.name <= name + LAST)
    statement = (
        select(_member.c.value, func.array_agg(_member.c.set_id))
        .where(_member.c.kind == kind, named)
        .group_by(_member.c.value)
    )
    return {value: sets for value, sets in session.execute(statement)}  # noqa: C416 - rows are no pairs


def champion_ids(session: ReadSession, environment: str) -> Sequence[int]:
    """Return the places of the champions of an environment."""
    same = (_place.c.model_id == _deployment.c.model_id) & (
        _place.c.number == _deployment.c.champion
    )
    statement = (
        select(_place.c.id).join(_deployment, same).where(_deployment.c.environment == environment)
    )
    return session.execute(statement).scalars().all()


def smallest(
    session: ReadSession, leaves: Sequence[Text | Number], window: Window, most: int
) -> Sequence[int] | None:
    """Return all ids of one of these facts that at most `most` versions have, None without one."""
    counted = [
        select(func.array_agg(_ids(leaf, window).limit(most + 1).subquery().c.id)).scalar_subquery()
        for leaf in leaves
    ]
    if not counted:
        return None
    row = session.execute(select(*counted)).one()
    found = min(([] if ids is None else ids for ids in row), key=len)
    return found if len(found) <= most else None


def find_in_window(
    session: ReadSession, condition: Condition, window: Window, hidden: Sequence[int], limit: int
) -> Sequence[int]:
    """Return the ids of a window for which a condition holds, newest first."""
    low, high = min(window.blocks) << BLOCK_BITS, (max(window.blocks) + 1) << BLOCK_BITS
    inside = _place.c.id.between(low, min(high, window.below) - 1)
    statement = _visible(hidden).where(inside, _holds(condition, window, alone=False))
    return _newest(session, statement, limit, "windows")


def find_among(
    session: ReadSession,
    condition: Condition,
    ids: Sequence[int],
    hidden: Sequence[int],
    limit: int,
) -> Sequence[int]:
    """Return those of a few ids for which a condition holds, newest first."""
    if not ids:
        return []
    window = Window(tuple({one >> BLOCK_BITS for one in ids}), max(ids) + 1)
    same = (_version.c.model_id == _place.c.model_id) & (_version.c.number == _place.c.number)
    statement = (
        _visible(hidden)
        .join(_version, same)
        .where(_among(_place.c.id, ids), _holds(condition, window, alone=True))
    )
    return _newest(session, statement, limit, "candidates")


def places_of(session: ReadSession, ids: Sequence[int]) -> Sequence[tuple[int, int]]:
    """Return (model's id, number) of places, newest first; plans as usual from here on."""
    _plan(session, "candidates")
    statement = (
        select(_place.c.model_id, _place.c.number)
        .where(_among(_place.c.id, ids))
        .order_by(_place.c.id.desc())
    )
    return [(model_id, number) for model_id, number in session.execute(statement)] if ids else []


def versions_at(
    session: ReadSession, places: Sequence[tuple[int, int]]
) -> Sequence[tuple[str, Version]]:
    """Return (name of the model, version) by (model's id, number), in that order."""
    key = tuple_(_version.c.model_id, _version.c.number)
    statement = select(_model.c.name, Version).join(_model, _model.c.id == _version.c.model_id)
    found = {
        (row.model_id, row.number): (name, row)
        for name, row in session.execute(statement.where(key.in_(places)))
    }
    return [found[place] for place in places]


def _newest(
    session: ReadSession, statement: Select[tuple[int]], limit: int, settings: str
) -> Sequence[int]:
    _plan(session, settings)
    return session.execute(statement.order_by(_place.c.id.desc()).limit(limit)).scalars().all()


def _plan(session: ReadSession, settings: str) -> None:
    """Tell the planner, until the transaction ends, how to read."""
    chosen = {**_SETTINGS[settings], "work_mem": "32MB", "jit": "off"}
    local = true()
    session.execute(select(*(func.set_config(*pair, local) for pair in chosen.items())))


def _visible(hidden: Sequence[int]) -> Select[tuple[int]]:
    gone = exists().where(
        _gone.c.model_id == _place.c.model_id,
        _gone.c.number == _place.c.number,
        _gone.c.archived_at.is_not(None) | _gone.c.deleted_at.is_not(None),
    )
    statement = select(_place.c.id).where(~gone)
    return statement.where(~_among(_place.c.model_id, hidden)) if hidden else statement


def _holds(condition: Condition, window: Window, *, alone: bool) -> ColumnElement[bool]:
    """Return the condition as SQL over `search_version`, and over `version` when `alone`."""
    if isinstance(condition, All):
        return and_(true(), *(_holds(part, window, alone=alone) for part in condition.parts))
    if isinstance(condition, AnyOf):
        return _any(condition, window, alone=alone)
    if isinstance(condition, Not):
        return _none(condition.part, window, alone=alone)
    if isinstance(condition, Ids):
        return _among(_place.c.id, condition.ids)
    if not isinstance(condition, Text | Number):
        raise TypeError(condition)
    return _alone(condition, window) if alone else _place.c.id.in_(_ids(condition, window))


def _any(condition: AnyOf, window: Window, *, alone: bool) -> ColumnElement[bool]:
    leaves = [part for part in condition.parts if isinstance(part, Text | Number)]
    if not alone and leaves and len(leaves) == len(condition.parts):
        return _place.c.id.in_(union_all(*(_ids(leaf, window) for leaf in leaves)))
    return or_(false(), *(_holds(part, window, alone=alone) for part in condition.parts))


def _none(part: Condition, window: Window, *, alone: bool) -> ColumnElement[bool]:
    if alone or not isinstance(part, Text | Number):
        return ~func.coalesce(_holds(part, window, alone=alone), false())
    found = _ids(part, window).subquery()
    return ~exists().where(found.c.id == _place.c.id)


def _ids(leaf: Text | Number, window: Window) -> Select[tuple[int]]:
    """Return the ids of a window that have a fact, by a scan of the primary key."""
    table = _text if isinstance(leaf, Text) else _number
    return select(table.c.id).where(
        table.c.key == leaf.key,
        _among(table.c.block, window.blocks),
        _fits(leaf, table.c.value),
        table.c.id < window.below,
    )


def _alone(leaf: Text | Number, window: Window) -> ColumnElement[bool]:
    """Return whether one version has a fact: a number is read from its row, a text looked up."""
    if isinstance(leaf, Number):
        return func.coalesce(_fits(leaf, _number_of(leaf.key)), false())
    if leaf.prefix:
        return _place.c.id.in_(_ids(leaf, window))
    looked_up = (
        select(literal(1))
        .where(
            _text.c.key == leaf.key,
            _text.c.block == cast(_place.c.id.op(">>")(cast(BLOCK_BITS, Integer)), Integer),
            _fits(leaf, _text.c.value),
            _text.c.id == _place.c.id,
        )
        .limit(1)  # so that the planner leaves it a look-up
        .correlate(_place)
        .scalar_subquery()
    )
    return looked_up.is_not(None)


def _number_of(key: str) -> ColumnElement[float]:
    """Return the number under a key as the index has it, from the version's row."""
    name, dot, rest = key.partition(".")
    if not dot:
        return _COLUMNS[name]
    found = _DOCUMENTS[name][rest]
    bounded = (func.jsonb_typeof(found) == "number") & (func.abs(cast(found, Numeric)) < BEYOND)
    return case((bounded, cast(found, Double)))


def _fits(
    leaf: Text | Number, value: ColumnElement[str] | ColumnElement[float]
) -> ColumnElement[bool]:
    if isinstance(leaf, Text):
        if leaf.prefix:
            begin = leaf.values[0]
            return and_(value >= begin, value <= begin + LAST) if begin else true()
        return _among(value, leaf.values)
    tests = []
    if leaf.low > -math.inf:
        tests.append(value > leaf.low if leaf.open_low else value >= leaf.low)
    if leaf.high < math.inf:
        tests.append(value < leaf.high if leaf.open_high else value <= leaf.high)
    return and_(*tests) if tests else value.is_not(None)


def _among(value: ColumnElement[Any], wanted: Sequence[object]) -> ColumnElement[bool]:
    """Return whether a value is one of some, given as one array: one statement for any number."""
    if len(wanted) == 1:
        return value == wanted[0]
    return value == any_(cast(list(wanted), ARRAY(value.type)))
