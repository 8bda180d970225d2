"""Comparing two versions of a model: read both, and let the rules say what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.domain.version_diff import Compared, VersionDiff, diff_versions
from mlreg.registry.services.catalog import (
    find_feature_contract,
    get_manifest,
    get_model,
    get_version,
)

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.forms import Json
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Version

_PACKAGES = "packages"


def compare_versions(session: ReadSession, name: str, one: int, other: int) -> VersionDiff:
    """Return what differs from one version of a model to another.

    Raises:
        ModelNotFoundError, VersionNotFoundError: there is no such model or version.
    """
    model = get_model(session, name)
    before, after = get_version(session, model, one), get_version(session, model, other)
    return diff_versions(_compared(session, before), _compared(session, after))


def _compared(session: ReadSession, version: Version) -> Compared:
    contract = find_feature_contract(session, version)
    machine = version.environment or {}
    return Compared(
        facts=_facts(version),
        git=version.git,
        data=_data(version),
        features=() if contract is None else contract.to_json(),
        params=version.hyperparameters or {},
        seeds=version.seeds or {},
        packages=machine.get(_PACKAGES) or {},
        metrics=version.metrics,
        tags=version.tags,
        files={file.path: file.digest for file in get_manifest(session, version).files},
    )


def _facts(version: Version) -> dict[str, Json]:
    machine = version.environment or {}
    facts: dict[str, Json] = {
        "lane": version.lane,
        "trainer": version.trainer,
        "parent": version.parent,
        "run": version.run_id,
        "flavour": version.flavour,
        "trained_by": version.trained_by or version.created_by,
        "train_start": _moment(version.train_start),
        "train_end": _moment(version.train_end),
        "duration_seconds": version.duration_seconds,
        "peak_memory_bytes": version.peak_memory_bytes,
        "missing": ", ".join(version.missing) or None,
        **{name: value for name, value in machine.items() if name != _PACKAGES},
    }
    return {name: value for name, value in facts.items() if value is not None}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _data(version: Version) -> dict[str, str]:
    """Return digest → name of each part of the data; what has no name goes by its digest."""
    names = {item["digest"]: item["name"] for item in version.data or ()}
    return {digest: names.get(digest, digest) for digest in version.snapshots or ()}
