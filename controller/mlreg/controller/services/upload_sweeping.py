"""The chore that removes uploads which nobody finished, and the bytes that they left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.services.chore import Chore
from mlreg.registry.services.upload_sessions import sweep_uploads

if TYPE_CHECKING:
    from mlreg.controller.services.chore import ChoreRoom


def sweep(room: ChoreRoom) -> str:
    """Remove what lives too long; say how much it was."""
    swept = sweep_uploads(room.database, room.store, room.now)
    return f"{swept} uploads removed"


SWEEP = Chore("sweep-uploads", timedelta(hours=1), sweep)
