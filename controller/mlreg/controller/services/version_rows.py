"""Prediction ids in the files of versions: the hold-out's predictions, kept beside a model.

What always holds: they are looked for and named, never changed: the files of a version are what its
digest says, for ever, and go with the version (`mlreg version delete`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from mlreg.controller.domain.batches import PREDICTION_ID
from mlreg.controller.domain.erasures import Remainder
from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError
from mlreg.registry.artifacts.reading import BlobTooLargeError, read_blob
from mlreg.registry.services.catalog import id_of
from mlreg.registry.store.stages import list_predictions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.tables import Model

LOG = logging.getLogger(__name__)
MAX_FILE_BYTES = 64 * 2**20


def find_in_versions(attempt: Attempt, model: Model, ids: Collection[str]) -> Iterator[Remainder]:
    """Yield the files of a model's versions that have predictions of these ids, or may have."""
    if not ids:
        return
    known = pa.array(sorted(ids), pa.string())
    with attempt.database.reading() as session:
        files = list_predictions(session, id_of(model))
    for file in files:
        attempt.check()
        rows = _count(attempt.store, file.digest, known)
        if rows != 0:
            yield Remainder("version_file", f"{model.name}/{file.number} {file.name}", rows)


def _count(store: ArtifactStore, digest: str, known: pa.Array) -> int | None:
    """Return how many rows of a file have one of the ids; None where it cannot be told."""
    try:
        content = read_blob(store, digest, max_bytes=MAX_FILE_BYTES)
        table = parquet.read_table(pa.BufferReader(content), columns=[PREDICTION_ID])
        ids = pc.cast(table[PREDICTION_ID], pa.string())
    except BlobNotFoundError:
        return 0
    except (BlobTooLargeError, BlobCorruptError, pa.ArrowException, KeyError) as error:
        LOG.info("file %s of a version cannot be searched: %s", digest, error)
        return None
    return int(pc.sum(pc.is_in(ids, value_set=known)).as_py() or 0)
