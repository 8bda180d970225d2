"""The rows of one entity, wherever the log and its snapshots have them: found, and left out.

What always holds: a row is about the entity if its column `entity`, or the feature that the model
declares as its entity key, has its name as text; a label is, if such a prediction has its id; and
so is a row that names no entity under such an id, for it is the same prediction, logged again. A
row that names another entity stays, whatever its id. Nothing is changed here: a segment that holds
the entity is written anew as a blob that nobody refers to yet.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import ENTITY, PREDICTION_ID, Kind
from mlreg.controller.domain.erasures import Remainder
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.feedback.segments import NewSegment, make_segment, read_groups
from mlreg.controller.services.attempt import Attempt
from mlreg.controller.store import log_upkeep
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.services.catalog import feature_schema_of, id_of, target_contract_of
from mlreg.registry.services.uploads import BlobFile, send_blob
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.registry.store.database import ReadSession

Answer: TypeAlias = "tuple[str, FrozenSource, list[str]]"
"""A snapshot, what it froze, and the files of it in our own store that are still there."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A segment that held the entity, and what is left of it; None if nothing is."""

    kind: Kind
    old: str
    rows: int
    left: NewSegment | None
    blob: BlobFile | None


@dataclass(slots=True)
class EntitySearch:
    """What is known so far of where an entity is; `look` makes it complete for what is there now.

    Attributes:
        ids: of its predictions.
        looked_at: the segments that are known to hold it (`rewritten`), or not to.
        suspects: segments of predictions by whether they name the entity, or have rows that name
            none; the others need not be looked into again.
        answers: files of frozen answers that hold it, with how many rows.
        remaining: what could not be looked into.
    """

    attempt: Attempt
    model: Model
    entity: str
    ids: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)
    suspects: dict[str, bool] = field(default_factory=dict)
    rewritten: dict[str, Rewritten] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    remaining: list[Remainder] = field(default_factory=list)
    _known: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))

    @property
    def columns(self) -> list[str]:
        """The columns that may name the entity."""
        key, schema = target_contract_of(self.model).entity_key, feature_schema_of(self.model)
        own = key is not None and schema is not None and key in schema.names
        return [ENTITY, *([key] if own and key is not None else [])]

    def look(self) -> None:
        """Look into every segment and answer that was not looked into yet.

        Raises:
            HaltedError: the attempt was told to stop.
            BlobCorruptError, StoreUnreachableError: a segment cannot be had.
        """
        with self.attempt.database.reading() as session:
            holders = holders_of(session, self.model)
            answers = list(answers_of(session, self.model))
        there = {one for digests in holders.values() for one in digests}
        self.rewritten = {old: one for old, one in self.rewritten.items() if old in there}
        before = len(self.ids)
        for digest in holders["predictions"]:
            if digest not in self.suspects:
                self._find_ids(digest)
        if len(self.ids) > before:
            self._known = pa.array(sorted(self.ids), pa.string())
            self.looked_at.clear()
            self.rewritten.clear()
            self.answers.clear()
        for kind, digests in holders.items():
            for digest in digests:
                if digest not in self.looked_at:
                    self._rewrite(kind, digest)
        self._look_into_answers(answers)

    def is_settled(self, session: ReadSession) -> bool:
        """Whether every segment that is there now was looked into, and what was found is there."""
        found = {one for digests in holders_of(session, self.model).values() for one in digests}
        return found <= self.looked_at and self.rewritten.keys() <= found

    def _find_ids(self, digest: str) -> None:
        self.attempt.check()
        is_suspect = False
        for rows in self._groups(digest, [PREDICTION_ID, *self.columns]):
            about = self._about(rows)
            self.ids.update(rows[PREDICTION_ID].filter(about).to_pylist())
            worth_it = pc.any(pc.or_(about, self._nameless(rows)))
            is_suspect = is_suspect or bool(worth_it.as_py())
        self.suspects[digest] = is_suspect

    def _rewrite(self, kind: Kind, digest: str) -> None:
        self.attempt.check()
        self.looked_at.add(digest)
        if not self.ids or not self.suspects.get(digest, True):
            return
        names = [PREDICTION_ID, *self.columns] if kind == "predictions" else [PREDICTION_ID]
        if not any(pc.any(self._theirs(rows)).as_py() for rows in self._groups(digest, names)):
            return
        tables = list(self._groups(digest, None))
        left = [rows.filter(pc.invert(self._theirs(rows))) for rows in tables]
        rest = sum(rows.num_rows for rows in left)
        segment = make_segment(kind, left) if rest else None
        blob = None
        if segment is not None:
            blob = send_blob(self.attempt.store, io.BytesIO(segment.content))
        gone = sum(rows.num_rows for rows in tables) - rest
        self.rewritten[digest] = Rewritten(kind, digest, gone, segment, blob)

    def _look_into_answers(self, answers: list[Answer]) -> None:
        self.remaining.clear()
        for snapshot, source, files in answers:
            columns = source.columns.by_target
            if source.kind != "sql":
                self.remaining.append(Remainder("source", source.place))
            elif not {*self.columns, PREDICTION_ID} & columns.keys():
                self.remaining.append(Remainder("frozen_answer", snapshot))
            else:
                for digest in files:
                    self._look_into_answer(digest, columns)

    def _look_into_answer(self, digest: str, columns: dict[str, str]) -> None:
        if digest in self.looked_at:
            return
        self.attempt.check()
        self.looked_at.add(digest)
        named = {name: columns[name] for name in (PREDICTION_ID, *self.columns) if name in columns}
        rows = 0
        for table in self._groups(digest, list(named.values())):
            own = pa.table({name: table[column] for name, column in named.items()})
            rows += pc.sum(self._theirs(own)).as_py() or 0
        if rows:
            self.answers[digest] = rows

    def _theirs(self, rows: pa.Table) -> pa.Array:
        """Return which rows go."""
        if PREDICTION_ID not in rows.column_names:
            return self._about(rows)
        ids = pc.cast(rows[PREDICTION_ID], pa.string())
        known = pc.is_in(ids, value_set=self._known)
        return pc.or_(self._about(rows), pc.and_(known, self._nameless(rows)))

    def _about(self, rows: pa.Table) -> pa.Array:
        """Return which rows name the entity."""
        found = [pc.equal(pc.cast(rows[name], pa.string()), self.entity) for name in self._in(rows)]
        nowhere = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
        return reduce(pc.or_, [pc.fill_null(one, fill_value=False) for one in found], nowhere)

    def _nameless(self, rows: pa.Table) -> pa.Array:
        """Return which rows name no entity at all."""
        everywhere = pa.chunked_array([pa.repeat(pa.scalar(value=True), rows.num_rows)])
        return reduce(pc.and_, [pc.is_null(rows[name]) for name in self._in(rows)], everywhere)

    def _in(self, rows: pa.Table) -> list[str]:
        return [name for name in self.columns if name in rows.column_names]

    def _groups(self, digest: str, columns: list[str] | None) -> Iterator[pa.Table]:
        """Read a segment; nothing where its bytes are gone already."""
        try:
            yield from read_groups(self.attempt.store, digest, columns, None)
        except BlobNotFoundError:
            LOG.warning("segment %s is gone, so there is nothing in it to erase", digest)


def holders_of(session: ReadSession, model: Model) -> dict[Kind, list[str]]:
    """Return the segments of a model that are there, in the log or for a snapshot only."""
    kinds: tuple[Kind, ...] = ("predictions", "labels")
    return {kind: log_upkeep.list_holders(session, id_of(model), kind) for kind in kinds}


def answers_of(session: ReadSession, model: Model) -> Iterator[Answer]:
    """Yield the snapshots of a model that froze a source, and which files of an answer are left."""
    for text in log_upkeep.list_bodies_of_sources(session, id_of(model)):
        body = SnapshotBody.from_json(json.loads(text))
        if body.source is not None:
            lost = {one.digest for one in log_upkeep.list_lost(session, body.blobs)}
            yield body.digest, body.source, [one for one in body.blobs if one not in lost]
