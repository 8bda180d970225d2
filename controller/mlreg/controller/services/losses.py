"""Whether rows are still what they were: asked wherever a snapshot is opened by its name.

What always holds: what a job found in single rows is written down only if they are all still there,
under a lock that an erasure waits for; so nothing that was erased comes back by a job that read it
before and ends after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.losses import Lost, RowsLostError, SnapshotLostError
from mlreg.controller.store.feedback import hold_model
from mlreg.controller.store.log_upkeep import list_lost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.registry.store.database import ReadSession, WriteSession


def lost_of(session: ReadSession, body: SnapshotBody) -> list[Lost]:
    """Return the segments, or files of a frozen answer, that a snapshot has lost."""
    return [
        Lost(row.digest, row.cause, row.rows, row.at, row.erasure_id)
        for row in list_lost(session, body.blobs)
    ]


def check_whole(session: ReadSession, body: SnapshotBody) -> None:
    """Refuse a snapshot that has lost rows, whether or not their bytes are gone yet.

    Raises:
        SnapshotLostError: names the segments.
    """
    lost = lost_of(session, body)
    if lost:
        raise SnapshotLostError(digest=body.digest, lost=lost)


def check_still_there(session: WriteSession, model_id: int, read: Iterable[SnapshotBody]) -> None:
    """Refuse to write what was found in rows of which some are gone by now.

    From here to the commit nothing of the model's log is erased, and nothing expires.

    Raises:
        RowsLostError: the job is to look again.
    """
    hold_model(session, model_id)
    if list_lost(session, [digest for body in read for digest in body.blobs]):
        raise RowsLostError
