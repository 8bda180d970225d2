"""Making a blob of what was uploaded: uploaded → verified (a blob), or failed.

What always holds: one process at a time is at it, under a lease that it prolongs; a killed one
leaves the upload as it is, for another try, and what its own thread meets ends neither.
"""

from __future__ import annotations

import logging
import secrets
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.errors import (
    BlobCorruptError,
    ObjectMissingError,
    WrongBytesError,
    WrongSizeError,
)
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.services.turns import turn
from mlreg.registry.services.uploads import BlobFile, keep_blob
from mlreg.registry.store import uploads as rows
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.registry.services.upload_sessions import UploadRoom
    from mlreg.registry.store.database import Database
    from mlreg.registry.store.tables import UploadSession

PAUSE = timedelta(seconds=2)
LOG = logging.getLogger(__name__)


def verify_upload(room: UploadRoom, name: str) -> None:
    """Hash what was uploaded and make a blob of it, or say that it failed; unless another is at it.

    Raises:
        UnavailableError: it cannot be said now; the upload stays as it is, for another try.
    """
    by = secrets.token_hex(8)
    with room.database.writing() as session:
        upload = rows.claim(session, name, by)
    if upload is None:
        return
    try:
        with _leased(room.database, name, by):
            problem = _adopt(room, upload)
    except RegistryError:
        with room.database.writing() as session:
            rows.renew(session, name, by, PAUSE)
        raise
    failpoint("upload.adopted")
    with room.database.writing() as session:
        state = "verified" if problem is None else "failed"
        settled = rows.settle(session, name, by, state, problem)
        if settled and problem is None:
            blob = BlobFile(upload.digest or "", upload.size or 0)
            keep_blob(session, room.store, blob, now=room.clock.now(), owner=upload.owner)
    if settled:
        with suppress(RegistryError):  # else the sweep does it
            room.transfers.discard(name)


def _adopt(room: UploadRoom, upload: UploadSession) -> str | None:
    """Make a blob of an upload; return the code of what is wrong with its bytes, or None."""
    try:
        room.transfers.adopt(upload.id, upload.parts, upload.digest or "", upload.size or 0)
    except (WrongBytesError, WrongSizeError, BlobCorruptError, ObjectMissingError) as error:
        LOG.warning("upload %s of %s: %s", upload.id, upload.owner, error)
        return error.code
    return None


@contextmanager
def _leased(database: Database, upload: str, by: str) -> Iterator[None]:
    """Prolong a lease in the background for as long as the block runs."""
    ended = threading.Event()

    def prolong() -> None:
        while not ended.wait(rows.LEASE.total_seconds() / 3):
            with turn(LOG, f"upload {upload} is not held"), database.writing() as session:
                rows.renew(session, upload, by)

    thread = threading.Thread(target=prolong, name=f"lease-{upload[:8]}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
