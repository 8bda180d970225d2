"""Versions that travel: the record of one, and the import of one from elsewhere.

What always holds: a record is canonical JSON and says all that is known; an import is a new version
of its own number, registered like any other (files verified, inspected, contract checked), which
keeps the record it came with, byte for byte, as a blob; the same origin is imported into a model
once. What a record says of its past (decisions, attestations, audit entries) is kept and shown, and
believed by nobody: no import promotes, approves or attests anything here. A signature needs no
belief: one that holds for these files and this model, by a key that is trusted here, is kept as the
version's own, as if it had come with a registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import col, or_, select

from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.digests import canonical_json, digest_of_json
from mlreg.registry.domain.errors import InvalidError, RefusedError
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import audit, catalog
from mlreg.registry.services.registration import (
    BlobsMissingError,
    Registration,
    register_version,
)
from mlreg.registry.store import blobs, models, retirement, stages
from mlreg.registry.store.tables import (
    Attestation,
    AuditEntry,
    Decision,
    Model,
    Version,
    VersionSignature,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession

FORMAT = 1
KIND = "mlreg-version"
RECORD = "record"
MAX_RECORD_BYTES = 16 * 2**20
MAX_EVIDENCE = 200


class RecordTooLargeError(RefusedError):
    """There is more to say of a version than a portable file may carry."""

    code = "record_too_large"

    def __init__(self, *, size: int) -> None:
        super().__init__(f"the record has {size} bytes, more than {MAX_RECORD_BYTES}")


class InvalidRecordError(InvalidError):
    """A record that is none, or that contradicts itself."""

    code = "invalid_record"
    hint = "Export the version again; nothing was imported."

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"not a record of a version: {problem}")


class OtherTargetError(RefusedError):
    """The model here answers another question than the imported version."""

    code = "other_target"
    hint = "Import it into another model: --model NAME."

    def __init__(self, *, model: str, field: str) -> None:
        super().__init__(f"model {model!r} has another {field} than the version to be imported")


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version something is, where it comes from."""

    model: str
    number: int
    manifest: str
    registered_at: datetime
    registered_by: str

    @property
    def digest(self) -> str:
        """What it is known by: the same for every export of the same version."""
        return digest_of_json(
            {
                "model": self.model,
                "number": self.number,
                "manifest": self.manifest,
                "registered_at": self.registered_at.isoformat(),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "model": self.model,
            "number": self.number,
            "manifest": self.manifest,
            "registered_at": self.registered_at.isoformat(),
            "registered_by": self.registered_by,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A version to be imported.

    Attributes:
        registration: as it would be registered here; without its parent.
        origin: which version it is.
        parent: the version that it began from, where it comes from.
        target: what its model answers.
        features: the columns that its model declared; None if it declared none.
        record: digest of the record's bytes, and their size in bytes.
        note: what is kept of it besides: file, exported_at, exported_by.
        may_create: whether the model is made if it is not there.
    """

    registration: Registration
    origin: Origin
    parent: Origin | None
    target: TargetContract
    features: FeatureSchema | None
    record: tuple[str, int]
    note: Mapping[str, str]
    may_create: bool


def make_record(
    session: ReadSession, model: Model, version: Version, *, actor: Actor, now: datetime
) -> bytes:
    """Return everything that is known of a version, as canonical JSON.

    Raises:
        RecordTooLargeError: it is more than a portable file may carry.
    """
    contract = catalog.find_feature_contract(session, version)
    files = catalog.get_manifest(session, version).files
    record = canonical_json(
        {
            "kind": KIND,
            "format": FORMAT,
            "exported_at": now.isoformat(),
            "exported_by": actor.name,
            "origin": _origin(model, version).to_json(),
            "parent": _parent(session, model, version),
            "model_description": model.description,
            "target": model.target_contract,
            "features": model.feature_schema,
            "files": [{"path": f.path, "size": f.size, "digest": f.digest} for f in files],
            "stage": [
                {"name": f.name, "kind": f.kind, "size": f.size, "digest": f.digest}
                for f in stages.list_stage_files(session, version)
            ],
            "provenance": _provenance(version, None if contract is None else contract.to_json()),
            "flavour": version.flavour,
            "missing": version.missing,
            "run_id": version.run_id,
            "metrics": version.metrics,
            "tags": version.tags,
            "description": version.description,
            "evidence": _evidence(session, model, version),
        }
    )
    if len(record) > MAX_RECORD_BYTES:
        raise RecordTooLargeError(size=len(record))
    return record


def import_version(
    session: WriteSession, wanted: Import, *, actor: Actor, now: datetime
) -> tuple[Version, bool]:
    """Register a version that comes from elsewhere; return it, and whether it is new here.

    Raises:
        ModelNotFoundError: there is no such model, and none may be made.
        OtherTargetError: the model answers another question.
        BlobsMissingError: the record's bytes are not stored here.
        As `register_version`.
    """
    digest, size = wanted.record
    stored = blobs.verified_sizes(session, [digest]).get(digest)
    model = _get_model(session, wanted, actor, now)
    there = retirement.find_import(session, catalog.id_of(model), wanted.origin.digest)
    if there is not None:
        return there, False
    if stored != size:
        raise BlobsMissingError(path=RECORD, digest=digest, count=1)
    made = register_version(session, _registration(session, model, wanted), actor=actor, now=now)
    version = catalog.get_version(session, model, made.number)
    blobs.refer_to_blobs(session, [digest], RECORD, f"{version.model_id}/{version.number}")
    version.import_digest = wanted.origin.digest
    version.imported_from = {
        **wanted.origin.to_json(),
        **wanted.note,
        "record": digest,
        "parent": None if wanted.parent is None else wanted.parent.to_json(),
    }
    session.add(version)
    session.flush()
    audit.record(
        session,
        action="version.import",
        subject=f"version:{model.name}/{version.number}",
        actor=actor,
        body=version.imported_from,
        now=now,
    )
    return version, True


def _get_model(session: WriteSession, wanted: Import, actor: Actor, now: datetime) -> Model:
    """Return the model to import into, locked; made like the one it comes from if it may be."""
    name = wanted.registration.model
    if wanted.may_create and not models.name_is_taken(session, name):
        made = catalog.ModelSpecification(name, wanted.target, wanted.features)
        catalog.create_model(session, made, actor=actor, now=now)
    model = catalog.lock_model(session, name)
    here, there = catalog.target_contract_of(model).to_json(), wanted.target.to_json()
    for field in ("task", "classes", "positive_class", "group_key", "weight"):
        if here[field] != there[field]:
            raise OtherTargetError(model=name, field=field)
    return model


def _registration(session: WriteSession, model: Model, wanted: Import) -> Registration:
    """Return the registration with its parent, if that was imported here before."""
    parent = None
    if wanted.parent is not None:
        parent = retirement.find_import(session, catalog.id_of(model), wanted.parent.digest)
    registration = wanted.registration
    number = None if parent is None else parent.number
    provenance = replace(registration.provenance, parent=number)
    return replace(registration, provenance=provenance, allow_missing=frozenset(provenance.lacking))


def _origin(model: Model, version: Version) -> Origin:
    return Origin(
        model.name, version.number, version.manifest_digest, version.created_at, version.created_by
    )


def _parent(session: ReadSession, model: Model, version: Version) -> dict[str, Any] | None:
    if version.parent is None:
        return None
    parent = catalog.find_version(session, model, version.parent)
    return None if parent is None else _origin(model, parent).to_json()


def _provenance(version: Version, contract: object) -> dict[str, Any]:
    """Return the provenance in the form in which it is registered."""
    moments = {"train_start": version.train_start, "train_end": version.train_end}
    found = {
        "git": version.git,
        "snapshots": version.snapshots,
        "data": version.data,
        "contract": contract,
        "hyperparameters": version.hyperparameters,
        "seeds": version.seeds,
        "environment": version.environment,
        "trainer": version.trainer,
        "lane": version.lane,
        "parent": version.parent,
        "trained_by": version.trained_by or version.created_by,
        "duration_seconds": version.duration_seconds,
        "peak_memory_bytes": version.peak_memory_bytes,
        **{name: moment and moment.isoformat() for name, moment in moments.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _evidence(session: ReadSession, model: Model, version: Version) -> dict[str, Any]:
    """Return what others said and did about a version, newest first."""
    name, mine = f"{model.name}/{version.number}", (version.model_id, version.number)
    decisions = session.exec(
        select(Decision)
        .where(Decision.model_id == mine[0], Decision.challenger == mine[1])
        .order_by(col(Decision.id).desc())
        .limit(MAX_EVIDENCE)
    ).all()
    signatures = session.exec(
        select(VersionSignature).where(
            VersionSignature.model_id == mine[0], VersionSignature.number == mine[1]
        )
    ).all()
    attestations = session.exec(
        select(Attestation)
        .where(Attestation.model_id == mine[0], Attestation.number == mine[1])
        .order_by(col(Attestation.id).desc())
        .limit(MAX_EVIDENCE)
    ).all()
    entries = session.exec(
        select(AuditEntry)
        .where(or_(AuditEntry.subject == f"version:{name}"))
        .order_by(col(AuditEntry.seq).desc())
        .limit(MAX_EVIDENCE)
    ).all()
    return {
        "decisions": _rows(decisions),
        "signatures": _rows(signatures),
        "attestations": _rows(attestations),
        "audit": _rows(entries),
        "imported_from": version.imported_from,
    }


def _rows(rows: Sequence[Decision | VersionSignature | Attestation | AuditEntry]) -> list[Any]:
    return [row.model_dump(mode="json", exclude={"model_id"}) for row in rows]
