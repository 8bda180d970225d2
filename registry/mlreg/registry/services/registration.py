"""Registration: verified blobs and a full provenance become an immutable version.

What always holds: number, manifests, references, contract, lineage, event and audit entry are one
transaction under the lock of the model's row; a field that lacks is in `missing` for ever; no
token of a known form is in what is kept, and nothing under a name such as `password`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlreg.client.redaction import redact_mapping
from mlreg.registry.domain.contracts import FeatureSchema, check_contract
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.flavours import Flavour
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.provenance import Provenance, accepted_missing
from mlreg.registry.domain.records import digest_parts
from mlreg.registry.domain.secrets import refuse_secrets
from mlreg.registry.domain.stage import Stage
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import (
    ModelArchivedError,
    ModelNotFoundError,
    VersionNotFoundError,
)
from mlreg.registry.services.idempotency import StoredAnswer, checked_answer, keep_with_key
from mlreg.registry.services.signing import (
    CheckedSignature,
    SignatureRequiredError,
    keep_signature,
)
from mlreg.registry.store import registration as rows
from mlreg.registry.store import stages, versions
from mlreg.registry.store.registration import NewVersion

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.domain.forms import Json
    from mlreg.registry.services.idempotency import KeyedRequest
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.present import Answered
    from mlreg.registry.store.registration import LockedModel


_CREATED = 201


class BlobsMissingError(RefusedError):
    """The manifest names bytes that are not stored and verified here."""

    code = "blobs_missing"
    hint = "Upload every file of the manifest first."

    def __init__(self, *, path: str, digest: str, count: int) -> None:
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"file {path!r} is not stored: {digest}{more}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A version as somebody asks for it.

    Attributes:
        allow_missing: the fields of the provenance that may lack (`provenance.FIELDS`).
        flavour: what `inspection.inspect_artifact` found.
        stage: the files of the training stage, kept beside the model.
        signature: as `signing.checked` found it to hold.
    """

    model: str
    manifest: Manifest
    provenance: Provenance
    flavour: Flavour = "opaque"
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    allow_missing: frozenset[str] = frozenset()
    description: str = ""
    stage: Stage | None = None
    signature: CheckedSignature | None = None

    @property
    def files(self) -> Sequence[ManifestFile]:
        """The files of the artifact and of the stage."""
        return (*self.manifest.files, *(self.stage.manifest.files if self.stage else ()))


def register_version(
    session: WriteSession, registration: Registration, *, actor: Actor, now: datetime
) -> NewVersion:
    """Register a version; every blob of its manifest must be verified already.

    Raises:
        ModelNotFoundError, ModelArchivedError: there is nothing to register it under.
        VersionNotFoundError: its parent does not exist.
        IncompleteProvenanceError: a field lacks that `allow_missing` does not name.
        ContractMismatchError: its contract is not that of the model; names the column.
        BlobsMissingError: a file is not stored.
        SecretFoundError: a token of a known form is in what would be kept; names the place.
        SignatureRequiredError: the model takes signed versions only.
        SignatureNotTrustedError: the key is not trusted any more.
    """
    registration = _checked(registration)
    model, _ = _lock(session, registration, None)
    version = _write(session, model, registration, actor, now)
    _record(session, registration, version, actor, now)
    return version


def register_once(
    session: WriteSession,
    registration: Registration,
    request: KeyedRequest | None,
    answer: Callable[[NewVersion], str],
    *,
    actor: Actor,
    now: datetime,
) -> tuple[StoredAnswer, bool]:
    """Register a version as a request asks; return the answer, and whether it was given before.

    Requests under one key are about one model, and wait for each other at its lock: the key is
    looked for there, and written with the version. One without a key is never given before.

    Raises:
        IdempotencyConflictError: the key stands for another request.
        As `register_version`.
    """
    registration = _checked(registration)
    model, answered = _lock(session, registration, request)
    if request is not None and answered is not None:
        former = StoredAnswer(answered.status, answered.body)
        return checked_answer(request, answered.digest, former), True
    version = _write(session, model, registration, actor, now)
    given = StoredAnswer(_CREATED, answer(version))
    if request is not None:
        keep_with_key(session, request, given, now)
    _record(session, registration, version, actor, now)
    return given, False


def without_secrets(registration: Registration) -> Registration:
    """Return a registration whose parameters and tags have no value under a secret's name.

    Raises:
        SecretFoundError: a token of a known form is in it, wherever.
    """
    provenance = registration.provenance
    refuse_secrets(_kept_texts(registration))
    params = provenance.hyperparameters
    if params is not None:
        provenance = replace(provenance, hyperparameters=_redacted(params))
    return replace(registration, provenance=provenance, tags=_redacted(registration.tags))


def _redacted(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return redact_mapping(mapping)[0]


def _kept_texts(registration: Registration) -> dict[str, object]:
    """Return every text that a registration would keep, by the name that a message calls it."""
    given, stage = registration.provenance, registration.stage
    return {
        "params": given.hyperparameters or {},
        "tags": registration.tags,
        "metrics": list(registration.metrics),
        "description": registration.description,
        "git": {} if given.git is None else given.git.to_json(),
        "environment": {} if given.environment is None else given.environment.to_json(),
        "data": [item.name for item in given.data or ()],
        "stage": [file.name for file in stage.files] if stage else [],
        "files": [file.path for file in registration.manifest.files],
        "seeds": list(given.seeds or ()),
        "trainer": given.trainer or "",
        "trained_by": given.trained_by or "",
    }


def _checked(registration: Registration) -> Registration:
    accepted_missing(registration.provenance, registration.allow_missing)
    checked_name(registration.model)
    return without_secrets(registration)


def _lock(
    session: WriteSession, registration: Registration, request: KeyedRequest | None
) -> tuple[LockedModel | None, Answered | None]:
    digests = [file.digest for file in registration.files]
    key = None if request is None else (request.actor, request.key)
    return rows.lock_model_row(session, registration.model, digests, key)


def _write(
    session: WriteSession,
    model: LockedModel | None,
    registration: Registration,
    actor: Actor,
    now: datetime,
) -> NewVersion:
    """Write a version with all that belongs to it, unless the model says no."""
    if model is None:
        raise ModelNotFoundError(model=registration.model)
    _check_fits(session, model, registration)
    _check_stored(model, registration.files)
    version = _version(model, registration, created_at=now, created_by=actor.name)
    rows.write_version(session, version, _parts(registration, version, model))
    if registration.stage is not None:
        stages.keep_stage(session, version, registration.stage)
    if registration.signature is not None:
        keep_signature(session, version, model.name, registration.signature)
    return version


def _record(
    session: WriteSession,
    registration: Registration,
    version: NewVersion,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        action="version.register",
        subject=f"version:{registration.model}/{version.number}",
        actor=actor,
        body=_audit_body(version, registration.signature),
        now=now,
    )


def _check_fits(session: WriteSession, model: LockedModel, registration: Registration) -> None:
    provenance = registration.provenance
    parent, contract = provenance.parent, provenance.feature_contract
    if model.archived:
        raise ModelArchivedError(model=model.name)
    if parent is not None and versions.find_version_row(session, model.id, parent) is None:
        raise VersionNotFoundError(model=model.name, number=parent)
    if contract is not None and model.feature_schema is not None:
        check_contract(contract, FeatureSchema.from_json(model.feature_schema))
    if model.requires_signature and registration.signature is None:
        raise SignatureRequiredError(model=model.name)


def _check_stored(model: LockedModel, files: Sequence[ManifestFile]) -> None:
    sizes = model.sizes or {}
    lacking = [file for file in files if sizes.get(file.digest) != file.size]
    if lacking:
        first = lacking[0]
        raise BlobsMissingError(path=first.path, digest=first.digest, count=len(lacking))


def _parts(registration: Registration, version: NewVersion, model: LockedModel) -> rows.Parts:
    """Return what is written with the version's row, by the same statement."""
    contract, stage = registration.provenance.feature_contract, registration.stage
    owned = [("manifest", version.manifest_digest, registration.manifest)]
    if stage is not None and version.stage_digest is not None:
        owned.append(("stage", version.stage_digest, stage.manifest))
    return rows.Parts(
        manifests=owned,
        contract=None if contract is None else contract.to_document(),
        sources=_sources(model, version),
        name=_name(model, version),
        event=("version.registered", _event(model, version)),
    )


def _version(
    model: LockedModel, registration: Registration, *, created_at: datetime, created_by: str
) -> NewVersion:
    given, stage = registration.provenance, registration.stage
    contract = given.feature_contract
    return NewVersion(
        model_id=model.id,
        number=model.last_version + 1,
        manifest_digest=registration.manifest.digest,
        feature_contract=None if contract is None else contract.digest,
        stage_digest=None if stage is None else stage.manifest.digest,
        flavour=registration.flavour,
        lane=given.lane,
        trainer=given.trainer,
        parent=given.parent,
        run_id=given.run_id,
        git=None if given.git is None else given.git.to_json(),
        snapshots=None if given.snapshots is None else list(given.snapshots),
        data=None if given.data is None else [item.to_json() for item in given.data],
        trained_by=given.trained_by or created_by,
        duration_seconds=given.duration_seconds,
        peak_memory_bytes=given.peak_memory_bytes,
        hyperparameters=given.hyperparameters,
        seeds=given.seeds,
        environment=None if given.environment is None else given.environment.to_json(),
        metrics=registration.metrics,
        tags=registration.tags,
        missing=list(given.lacking),
        train_start=given.train_start,
        train_end=given.train_end,
        description=registration.description,
        created_at=created_at,
        created_by=created_by,
    )


def _name(model: LockedModel, version: NewVersion) -> str:
    return f"{model.name}/{version.number}"


def _sources(model: LockedModel, version: NewVersion) -> list[tuple[str, str]]:
    """Return what the version was made of."""
    sources = [("snapshot", digest) for digest in version.snapshots or ()]
    if version.feature_contract is not None:
        sources.append(("contract", version.feature_contract))
    if version.parent is not None:
        sources.append(("version", f"{model.name}/{version.parent}"))
    if version.run_id is not None:
        sources.append(("run", str(version.run_id)))
    return sources


def _event(model: LockedModel, version: NewVersion) -> dict[str, Json]:
    return {
        "model": model.name,
        "version": version.number,
        "manifest": version.manifest_digest,
        "actor": version.created_by,
    }


def _audit_body(version: NewVersion, signature: CheckedSignature | None) -> dict[str, object]:
    commit = None if version.git is None else version.git["commit"]
    return {
        "manifest": version.manifest_digest,
        "flavour": version.flavour,
        "lane": version.lane,
        "trainer": version.trainer,
        "parent": version.parent,
        "run": version.run_id,
        "commit": commit,
        "snapshots": version.snapshots,
        "contract": version.feature_contract,
        "stage": version.stage_digest,
        "trained_by": version.trained_by,
        "signed_by": None if signature is None else signature.key_id,
        "missing": version.missing,
        "record": digest_parts(version.columns),
    }
