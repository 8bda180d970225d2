"""Queries of a search: a condition on facts becomes SQL whose cost has a bound.

What always holds: a window of blocks is answered by combining sets of ids (`search_masks.py`); a
few candidates are looked at one by one, their numbers being read from the version's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    Double,
    Integer,
    Numeric,
    and_,
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
)

from mlreg.registry.domain.search_conditions import (
    All,
    AnyOf,
    Condition,
    Ids,
    Leaf,
    Not,
    Number,
    Text,
)
from mlreg.registry.store.search_facts import LAST, TEXTS, Window, among, fits, ids_of
from mlreg.registry.store.search_index import BLOCK_BITS
from mlreg.registry.store.search_masks import ids_in_window
from mlreg.registry.store.tables import METADATA, Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Select

    from mlreg.registry.store.database import ReadSession

_place = METADATA.tables["search_version"]
_member = METADATA.tables["search_member"]
_version = METADATA.tables["version"]
_gone = _version.alias("gone")
_model = METADATA.tables["model"]
_deployment = METADATA.tables["deployment"]

BEYOND = 1e300  # as in the index: no number beyond it is a fact
_SETTINGS = {"enable_bitmapscan": "off", "enable_seqscan": "off", "work_mem": "32MB", "jit": "off"}
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
class Horizon:
    """What a search can see at all.

    Attributes:
        newest: the place of the version that was registered last, 0 when there is none.
        hidden: the ids of models that are archived or deleted.
    """

    newest: int
    hidden: Sequence[int]


def look_around(session: ReadSession) -> Horizon:
    """Return what there is to see, and tell the planner until the transaction ends to use indexes.

    It cannot know how common a value of one key is, and would read whole tables instead.
    """
    gone = _model.c.archived_at.is_not(None) | _model.c.deleted_at.is_not(None)
    newest = select(func.coalesce(func.max(_place.c.id), 0)).scalar_subquery()
    hidden = select(func.array_agg(_model.c.id)).where(gone).scalar_subquery()
    settings = (func.set_config(name, value, true()) for name, value in _SETTINGS.items())
    row = session.execute(select(newest, hidden, *settings)).one()
    return Horizon(row[0], row[1] or [])


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
        select(
            func.array_agg(ids_of(leaf, window).limit(most + 1).subquery().c.id)
        ).scalar_subquery()
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
    ids, is_sure = ids_in_window(session, condition, window)
    if not is_sure:
        return find_among(session, condition, ids, hidden, limit)
    found: list[int] = []
    begin, count = 0, 2 * limit
    while begin < len(ids) and len(found) < limit:
        some = ids[begin : begin + count]
        found += _newest(session, _visible(hidden).where(among(_place.c.id, some)), limit)
        begin, count = begin + count, 2 * count
    return found[:limit]


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
        .where(among(_place.c.id, ids), _holds(condition, window))
    )
    return _newest(session, statement, limit)


def places_of(session: ReadSession, ids: Sequence[int]) -> Sequence[tuple[int, int]]:
    """Return (model's id, number) of places, newest first."""
    statement = (
        select(_place.c.model_id, _place.c.number)
        .where(among(_place.c.id, ids))
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


def _newest(session: ReadSession, statement: Select[tuple[int]], limit: int) -> Sequence[int]:
    return session.execute(statement.order_by(_place.c.id.desc()).limit(limit)).scalars().all()


def _visible(hidden: Sequence[int]) -> Select[tuple[int]]:
    gone = exists().where(
        _gone.c.model_id == _place.c.model_id,
        _gone.c.number == _place.c.number,
        _gone.c.archived_at.is_not(None) | _gone.c.deleted_at.is_not(None),
    )
    statement = select(_place.c.id).where(~gone)
    return statement.where(~among(_place.c.model_id, hidden)) if hidden else statement


def _holds(condition: Condition, window: Window) -> ColumnElement[bool]:
    """Return the condition as SQL over `search_version` and `version`."""
    if isinstance(condition, All):
        return and_(true(), *(_holds(part, window) for part in condition.parts))
    if isinstance(condition, AnyOf):
        return or_(false(), *(_holds(part, window) for part in condition.parts))
    if isinstance(condition, Not):
        return ~func.coalesce(_holds(condition.part, window), false())
    return _has(condition, window)


def _has(leaf: Leaf, window: Window) -> ColumnElement[bool]:
    if isinstance(leaf, Ids):
        return among(_place.c.id, leaf.ids)
    if isinstance(leaf, Text):
        return _has_text(leaf, window)
    if isinstance(leaf, Number):
        return func.coalesce(fits(leaf, _number_of(leaf.key)), false())
    raise TypeError(leaf)


def _has_text(leaf: Text, window: Window) -> ColumnElement[bool]:
    """Return whether one version has a text fact, by a look-up where its value is known."""
    if leaf.prefix:
        return _place.c.id.in_(ids_of(leaf, window))
    looked_up = (
        select(literal(1))
        .where(
            TEXTS.c.key == leaf.key,
            TEXTS.c.block == cast(_place.c.id.op(">>")(cast(BLOCK_BITS, Integer)), Integer),
            fits(leaf, TEXTS.c.value),
            TEXTS.c.id == _place.c.id,
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
