"""The due policies of a tick, where they are many: judged in chunks, by one process or by two.

What always holds: each chunk is a transaction of its own, which is refused where the leadership
behind it ended; what an assessor leaves undone is done here.
"""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from mlreg.client.edge import Edge
from mlreg.controller.services.chunk import Chunk
from mlreg.controller.services.chunks import judge_chunk
from mlreg.controller.services.closed_chunk import ClosedChunk, read_chunk
from mlreg.controller.services.leadership import LeadershipLostError
from mlreg.controller.store.policies import due_states
from mlreg.registry.domain.errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mlreg.controller.services.assessor import Assessor
    from mlreg.controller.services.leadership import Fence, Reign
    from mlreg.registry.store.database import Database

BREAKS_OFF = (LeadershipLostError, DatabaseUnreachableError)
"""What ends a tick; any other error is of one policy."""
CHUNK = 1_000
MANY = 2_000
"""Fewer policies than this are judged before an assessor would have begun."""
CLOSED = 25
"""So few windows are read together: who applies one of their policies waits till all are."""
BLOCK = 100
"""So many neighbours are judged by the same process, tick by tick: it knows their policies."""

log = logging.getLogger("mlreg.controller")


def judge_many(
    database: Database,
    due: Sequence[int],
    now: datetime,
    reign: Reign | None,
    assessor: Assessor | None,
) -> Chunk:
    """Judge the many of which nothing comes; what is left is to be taken one by one.

    Raises:
        LeadershipLostError, DatabaseUnreachableError: what ends a tick.
    """
    if reign is None or assessor is None or len(due) < MANY or not assessor.is_there():
        return judge_share(database, due, now, reign)
    own = [one for one in due if one // BLOCK % 2 == 0]
    theirs = [one for one in due if one // BLOCK % 2 == 1]
    with assessor.asked(theirs, now, reign.leadership) as answer:
        done = judge_share(database, own, now, reign)
        found = answer(reign.keep)
    if found is None:
        found = judge_share(database, _still_due(database, theirs, now), now, reign)
    return done.with_others(found)


def judge_share(
    database: Database, ids: Sequence[int], now: datetime, fence: Fence | None
) -> Chunk:
    """Judge policies, chunk by chunk.

    Raises:
        LeadershipLostError, DatabaseUnreachableError: what ends a tick.
    """
    done = Chunk()
    with _uncollected():
        for first in range(0, len(ids), CHUNK):
            if fence is not None:
                fence.keep()
            done = done.with_others(_judge_some(database, ids[first : first + CHUNK], now, fence))
    return done


def _judge_some(
    database: Database, ids: Sequence[int], now: datetime, fence: Fence | None
) -> Chunk:
    """Judge a chunk in a transaction of its own; what broke is left to be taken one by one."""
    with Edge(partial(_tell_apart, len(ids)), but=BREAKS_OFF):
        with database.writing() as session:
            chunk = judge_chunk(session, ids, now)
            if fence is not None:
                fence.check(session)
        return chunk
    return Chunk(left=list(ids))


def read_some(
    database: Database, ids: Sequence[int], now: datetime, fence: Fence | None
) -> ClosedChunk:
    """Read the windows of a few policies in a transaction of its own; what broke is left.

    Raises:
        LeadershipLostError, DatabaseUnreachableError: what ends a tick.
    """
    if fence is not None:
        fence.keep()
    with Edge(partial(_tell_unread, len(ids)), but=BREAKS_OFF):
        with database.writing() as session:
            chunk = read_chunk(session, ids, now)
            if fence is not None:
                fence.check(session)
        return chunk
    return ClosedChunk(left=list(ids))


def _tell_unread(policies: int, error: Exception) -> None:
    """Say that windows could not be read together; each of the policies may do alone."""
    log.error("the windows of %d policies could not be read together", policies, exc_info=error)


def _tell_apart(policies: int, error: Exception) -> None:
    """Say that a chunk failed; each of its policies may do alone."""
    log.error("%d policies could not be judged together", policies, exc_info=error)


def _still_due(database: Database, ids: Sequence[int], now: datetime) -> Sequence[int]:
    """Return which of them nobody has judged: an assessor that died may have judged some."""
    with database.reading() as session:
        due = due_states(session, now)
    return sorted(set(ids).intersection(due))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python look for cycles only afterwards.

    Judging makes none, but hundreds of thousands of values: again and again each look would walk
    over all policies that are known, for half of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
