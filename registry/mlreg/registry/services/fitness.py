"""Whether a version's files may serve: integrity, which no flag skips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.domain.flavours import is_unsafe
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.revisions import BlobUnfitError, UnsafeFormatError
from mlreg.registry.services.catalog import VersionNotFoundError
from mlreg.registry.store.changes import find_candidate

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.changes import Candidate, Place
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.deployments import DeploymentState


def get_fit_candidate(
    session: ReadSession,
    place: Place,
    state: DeploymentState,
    version: int,
    store: ArtifactStore | None,
) -> Candidate:
    """Return a version whose every file is verified, and there (when the store is given).

    Raises:
        VersionNotFoundError: the model has none of that number.
        UnsafeFormatError: loading it could run code.
        BlobUnfitError: a file is corrupt, condemned or missing.
    """
    candidate = find_candidate(session, place, version, state.champion)
    if candidate is None:
        raise VersionNotFoundError(model=state.model, number=version)
    if is_unsafe(candidate.flavour) and not candidate.allows_unsafe:
        raise UnsafeFormatError(model=state.model, version=version, flavour=candidate.flavour)
    files = Manifest.from_body(candidate.manifest).files
    for file in files:
        fault = candidate.fault_of(file.digest) or _find_fault(store, file)
        if fault is not None:
            raise BlobUnfitError(model=state.model, version=version, path=file.path, state=fault)
    return candidate


def _find_fault(store: ArtifactStore | None, file: ManifestFile) -> str | None:
    there = store is None or store.size(file.digest) == file.size
    return None if there else "missing from the store"
