"""Whether a version's files may serve: integrity, which no flag skips.

What always holds: a file serves only when its blob is verified, and the store, when it is given,
says within `PRESENCE_SECONDS` that it is there. A store that says nothing in that time stops a
promote, and no rollback: the way back must not hang on an outage.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.domain.flavours import is_unsafe
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.revisions import BlobUnfitError, UnsafeFormatError
from mlreg.registry.services.catalog import VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.present import Candidate

LOG = logging.getLogger(__name__)
PRESENCE_SECONDS = 2.0
_ASKERS = ThreadPoolExecutor(8, thread_name_prefix="mlreg-presence")


class StoreSilentError(UnavailableError):
    """The store did not say in time whether a version's files are there."""

    code = "store_silent"
    hint = "Try again when the store answers; a rollback works without it."

    def __init__(self, *, model: str, version: int) -> None:
        super().__init__(
            f"the artifact store did not say within {PRESENCE_SECONDS:g} s whether the files of"
            f" {model}/{version} are there"
        )


def check_fit(
    candidate: Candidate | None,
    model: str,
    version: int,
    store: ArtifactStore | None,
    *,
    store_may_be_silent: bool = False,
) -> Candidate:
    """Return a version whose every file is verified, and there (when the store is given).

    Raises:
        VersionNotFoundError: the model has none of that number.
        UnsafeFormatError: loading it could run code.
        BlobUnfitError: a file is corrupt, condemned or missing.
        StoreSilentError: the store gave no answer in time, and must not be silent.
    """
    if candidate is None:
        raise VersionNotFoundError(model=model, number=version)
    if is_unsafe(candidate.flavour) and not candidate.allows_unsafe:
        raise UnsafeFormatError(model=model, version=version, flavour=candidate.flavour)
    files = Manifest.from_body(candidate.manifest).files
    for file in files:
        fault = candidate.fault_of(file.digest)
        if fault is not None:
            raise BlobUnfitError(model=model, version=version, path=file.path, state=fault)
    try:
        absent = None if store is None else find_absent(store, files)
    except (Late, UnavailableError) as error:
        if not store_may_be_silent:
            raise StoreSilentError(model=model, version=version) from error
        LOG.warning("presence of %s/%d is not known: the store is silent", model, version)
        return candidate
    if absent is not None:
        state = "missing from the store"
        raise BlobUnfitError(model=model, version=version, path=absent.path, state=state)
    return candidate


def find_absent(store: ArtifactStore, files: Sequence[ManifestFile]) -> ManifestFile | None:
    """Return the first file that the store does not have in its full size, or None.

    Raises:
        TimeoutError: it took more than `PRESENCE_SECONDS`.
        UnavailableError: the store cannot be asked.
    """
    digests = [file.digest for file in files]
    in_folder = isinstance(store, FolderStore)  # a look into a folder costs less than a thread
    sizes: Iterator[int | None] = (
        iter(map(store.size, digests))
        if in_folder
        else _ASKERS.map(store.size, digests, timeout=PRESENCE_SECONDS)
    )
    pairs = zip(files, sizes, strict=True)
    return next((file for file, size in pairs if size != file.size), None)
