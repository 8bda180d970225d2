"""The record of a version, as far as a rebuild needs it, and where it contradicts itself.

What always holds: a version whose record does not say enough is refused with the reason, before
anything is read or trained; what the audit log kept of the registration is compared with what the
tables say now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlreg.controller.domain.losses import spell_lost
from mlreg.controller.domain.reproduction import Parting, check_trainer
from mlreg.controller.domain.snapshots import InvalidSnapshotError, SnapshotBody
from mlreg.controller.domain.sources import InvalidSourceError
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services.losses import lost_of
from mlreg.controller.services.run_folder import ModelSource, find_source
from mlreg.controller.store import profiles, runs, snapshots
from mlreg.controller.trainers.seeds import step_seed
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.provenance import STATEFUL
from mlreg.registry.domain.records import PARTS, find_altered
from mlreg.registry.services import catalog
from mlreg.registry.services.audit import AuditFilter, list_entries
from mlreg.registry.services.chains import chain_of
from mlreg.registry.store.tables import Model, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.reproduction import Where
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import ReadSession

MADE_BY_HAND = "no run of this registry made it, and how its program trains is not known here"
_WHERE: dict[str, Where] = {
    "hyperparameters": "params",
    "seeds": "params",
    "environment": "library",
    "metrics": "record",
}


class NotReproducibleError(RefusedError):
    """A version cannot be rebuilt; the message is the reason."""

    code = "not_reproducible"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Record:
    """What a version's rebuild begins with.

    Attributes:
        specification: of the run that made it.
        source: its own files and feature contract.
        parent: the version that a stateful lane began with.
        bins: the contract's profile bins, if there are any.
        seed: of this very step of its chain.
        partings: where the record contradicts itself, or what was registered.
    """

    model: Model
    version: Version
    specification: RunSpecification
    snapshot: SnapshotBody
    source: ModelSource
    parent: ModelSource | None
    bins: bytes | None
    seed: int
    partings: tuple[Parting, ...]


def read_record(session: ReadSession, model: Model, number: int) -> Record:
    """Return the record of a version.

    Raises:
        VersionNotFoundError: there is no such version.
        NotReproducibleError: it cannot be rebuilt: opaque, made by hand, or its record has gaps.
    """
    version = catalog.get_version(session, model, number)
    source = find_source(session, version)
    if version.run_id is None and version.flavour != "lightgbm-text":
        reason = f"its files are {version.flavour}, which mlreg does not train"
        raise NotReproducibleError(reason=reason)
    if source is None:
        raise NotReproducibleError(reason="it has no feature contract")
    run = _run_of(session, version)
    if source.command is not None:
        _check_lock(version, source.command)
    snapshot, altered = _snapshot_of(session, version)
    partings = (
        *altered,
        *_against_run(version, run),
        *_against_audit(session, model, version),
        *check_trainer(version.trainer or "", version.environment or {}),
    )
    specification = _specification_of(run)
    return Record(
        model=model,
        version=version,
        specification=specification,
        snapshot=snapshot,
        source=source,
        parent=_parent_of(session, model, version),
        bins=profiles.find_bins(session, source.contract.digest),
        seed=_seed_of(session, model, version, specification.retrain.seed),
        partings=partings,
    )


def list_chain(session: ReadSession, model: Model, number: int) -> list[int]:
    """Return the numbers from the full ancestor of a version down to itself.

    Raises:
        VersionNotFoundError: there is no such version.
        NotReproducibleError: an ancestor is not there any more.
    """
    version = catalog.get_version(session, model, number)
    chain = [number]
    while version.lane in STATEFUL and version.parent is not None and version.parent < chain[-1]:
        chain.append(version.parent)
        version = _ancestor(session, model, version.parent)
    return chain[::-1]


def _ancestor(session: ReadSession, model: Model, number: int) -> Version:
    version = catalog.find_version(session, model, number)
    if version is None:
        raise NotReproducibleError(reason=f"its ancestor {model.name}/{number} was deleted")
    return version


def _check_lock(version: Version, command: str) -> None:
    """Check that it is known what a command ran with.

    Raises:
        NotReproducibleError: it is not.
    """
    sealed = json.loads((version.hyperparameters or {}).get("command") or "{}")
    if sealed.get("lock_digest") is None:
        reason = f"the trainer command {command!r} declared no lock, so what it ran with is unknown"
        raise NotReproducibleError(reason=reason)


def _run_of(session: ReadSession, version: Version) -> Run:
    found = None if version.run_id is None else runs.find_run(session, version.run_id)
    if found is None:
        raise NotReproducibleError(reason=MADE_BY_HAND)
    return found[0]


def _specification_of(run: Run) -> RunSpecification:
    try:
        return RunSpecification.model_validate(run.specification)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"the specification of run {run.id} cannot be read: {where}: {first['msg']}"
        raise NotReproducibleError(reason=reason) from error


def _snapshot_of(session: ReadSession, version: Version) -> tuple[SnapshotBody, list[Parting]]:
    """Return what the version was trained on, and whether that is what its name says."""
    digests = version.snapshots or []
    if len(digests) != 1:
        reason = "it names no snapshot" if not digests else f"it names {len(digests)} snapshots"
        raise NotReproducibleError(reason=reason)
    row = snapshots.find_snapshot(session, digests[0])
    if row is None:
        raise NotReproducibleError(reason=f"its snapshot {digests[0]} is not of this registry")
    try:
        body = SnapshotBody.from_json(json.loads(row.body))
    except (InvalidSnapshotError, InvalidSourceError, ValueError) as error:
        reason = f"the manifest of snapshot {row.digest} cannot be read: {error}"
        raise NotReproducibleError(reason=reason) from error
    lost = lost_of(session, body)
    if lost:
        raise NotReproducibleError(reason=f"its snapshot {row.digest} lost {spell_lost(lost)}")
    actual = digest_of(row.body.encode())
    if actual == row.digest:
        return body, []
    what = "the snapshot's manifest is not the one that its name says"
    return body, [Parting("data", what, row.digest, actual, decisive=True)]


def _parent_of(session: ReadSession, model: Model, version: Version) -> ModelSource | None:
    if version.lane not in STATEFUL:
        return None
    if version.parent is None:
        raise NotReproducibleError(reason=f"it was made by {version.lane} and names no parent")
    parent = find_source(session, _ancestor(session, model, version.parent))
    if parent is None:
        reason = f"its parent {model.name}/{version.parent} is no model that can be continued"
        raise NotReproducibleError(reason=reason)
    return parent


def _seed_of(session: ReadSession, model: Model, version: Version, seed: int) -> int:
    """Return the seed of a version's step; older versions had that of the run at every step."""
    if (version.seeds or {}).get("run") == seed:
        return seed
    depth = len(chain_of(session, model, version)) - 1
    return step_seed(seed, version.lane or "full", depth)


def _against_run(version: Version, run: Run) -> Iterator[Parting]:
    """Yield what the version says otherwise than the run that made it."""
    sides: dict[str, tuple[object, object]] = {
        "version": (version.number, run.version),
        "lane": (version.lane, run.lane),
        "parent": (version.parent, run.parent),
        "snapshot": (next(iter(version.snapshots or ()), None), run.snapshot),
    }
    for name, (ours, theirs) in sides.items():
        if ours != theirs:
            where: Where = "data" if name == "snapshot" else "record"
            what = f"{name} (left: the version, right: run {run.id})"
            yield Parting(where, what, ours, theirs, decisive=True)


def _against_audit(session: ReadSession, model: Model, version: Version) -> Iterator[Parting]:
    """Yield what the tables say otherwise than the audit log of the registration."""
    subject = f"version:{model.name}/{version.number}"
    found = list_entries(session, AuditFilter("version.register", subject, limit=1))
    if not found:
        return
    body: dict[str, Any] = json.loads(found[0].body)
    for name in ("manifest_digest", "trainer", "lane", "parent", "snapshots", "feature_contract"):
        key = {"manifest_digest": "manifest", "feature_contract": "contract"}.get(name, name)
        if key in body and body[key] != getattr(version, name):
            what = f"{key} (right: now; the audit log's entry {found[0].seq} has the left)"
            yield Parting("record", what, body[key], getattr(version, name), decisive=True)
    kept = body.get("record")
    altered = find_altered(kept, version.model_dump(include=set(PARTS))) if kept else []
    for part in altered:
        what = f"{part} is not what was registered (the audit log's entry {found[0].seq})"
        yield Parting(_WHERE[part], what, decisive=True)
