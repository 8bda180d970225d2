"""Whether a snapshot is still what it was: asked wherever one is opened by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.losses import Lost, SnapshotLostError
from mlreg.controller.store.log_upkeep import list_lost

if TYPE_CHECKING:
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.registry.store.database import ReadSession


def lost_of(session: ReadSession, body: SnapshotBody) -> list[Lost]:
    """Return the segments that a snapshot has lost."""
    return [
        Lost(row.digest, row.cause, row.rows, row.at, row.erasure_id)
        for row in list_lost(session, body.segments)
    ]


def check_whole(session: ReadSession, body: SnapshotBody) -> None:
    """Refuse a snapshot that has lost rows, whether or not their bytes are gone yet.

    Raises:
        SnapshotLostError: names the segments.
    """
    lost = lost_of(session, body)
    if lost:
        raise SnapshotLostError(digest=body.digest, lost=lost)
