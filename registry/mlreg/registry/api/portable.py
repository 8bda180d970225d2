"""Routes of versions that travel: the record of one, and the import of one.

The server packs and unpacks nothing: a client makes the file from the record and the blobs, and
takes it apart again (`mlreg.client.portable`).
"""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response
from pydantic import ValidationError

from mlreg.client.wire.portable import ImportRequest, OriginForm, ParentForm, RecordForm
from mlreg.client.wire.signing import SignatureForm
from mlreg.client.wire.versions import VersionAnswer
from mlreg.registry.api import versions
from mlreg.registry.api.context import Caller, Now, Parts, Reading
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.api.strict_json import InvalidJsonError, check_texts, read_json
from mlreg.registry.api.versions import Number
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.stage import Stage, StagedFile
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import catalog, portable, signing
from mlreg.registry.services.file_access import check_known, get_known_blob
from mlreg.registry.services.inspection import inspect_artifact
from mlreg.registry.services.portable import Import, InvalidRecordError, Origin
from mlreg.registry.services.registration import BlobsMissingError, Registration
from mlreg.registry.services.signing import CheckedSignature

router = APIRouter(prefix="/models/{model}", tags=["versions"])
MAX_SIGNATURES = 4
"""That are looked at of one record: checking a bundle takes a child process and a second."""


@router.get(
    "/versions/{number}/record",
    response_class=Response,
    dependencies=[may("read")],
    responses={200: {"content": {"application/json": {}}}},
)
def show_record(model: str, number: Number, reading: Reading, caller: Caller, now: Now) -> Response:
    """Show everything that is known of a version, as canonical JSON, to be put into a file."""
    with reading() as session:
        found = catalog.get_model(session, model)
        version = catalog.get_version(session, found, number)
        record = portable.make_record(session, found, version, actor=caller, now=now)
    return Response(record, media_type="application/json")


@router.post(
    "/import",
    status_code=201,
    response_model=VersionAnswer,
    dependencies=[may("version.register")],
)
def import_version(
    model: str, body: ImportRequest, parts: Parts, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Register a version that comes from elsewhere; repeating it answers the same version."""
    content = _read_record(parts, body.record, caller)
    record = _parsed(content)
    manifest, stage = _manifest_of(record), _stage_of(record)
    with parts.database.reading() as session:
        check_known(session, manifest, [file.digest for file in record.stage], caller)
    registration = _registration_of(model, record, manifest, stage, parts.store)
    signature = _signature_of(parts, model, record, manifest)
    wanted = Import(
        registration=replace(registration, signature=signature),
        origin=_origin_of(record.origin),
        parent=None if record.parent is None else _origin_of(record.parent),
        target=TargetContract.from_json(record.target.model_dump()),
        features=_features_of(record),
        record=(body.record, len(content)),
        note={
            "file": body.file,
            "exported_at": record.exported_at.isoformat(),
            "exported_by": record.exported_by,
        },
        may_create=caller.may("model.write", model),
    )
    with parts.database.writing() as session:
        return once.run(
            session,
            now,
            lambda: versions.answer_of(
                model, portable.import_version(session, wanted, actor=caller, now=now)[0]
            ),
            status=201,
        )


def _read_record(parts: Parts, digest: str, caller: Actor) -> bytes:
    """Return the bytes of a record that the caller brought; no others are looked at."""
    try:
        with parts.database.reading() as session:
            get_known_blob(session, digest, caller)
        return read_blob(parts.store, digest, max_bytes=portable.MAX_RECORD_BYTES)
    except BlobNotFoundError as error:
        raise BlobsMissingError(path=portable.RECORD, digest=digest, count=1) from error


def _parsed(content: bytes) -> RecordForm:
    """Return the record that some bytes are, under the rules of every other body.

    Only its evidence may be deeper and longer: it is kept as bytes, never in the database.

    Raises:
        InvalidRecordError: they are none; names the first field that is wrong.
    """
    try:
        value = read_json(content)
        if isinstance(value, dict):
            check_texts({name: part for name, part in value.items() if name != "evidence"})
        return RecordForm.model_validate_json(content)
    except InvalidJsonError as error:
        raise InvalidRecordError(problem=str(error)) from error
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, found["loc"])) or "its bytes"
        raise InvalidRecordError(problem=f"{where[:200]}: {found['msg']}") from error


def _manifest_of(record: RecordForm) -> Manifest:
    manifest = Manifest.of(
        ManifestFile(path=file.path, size=file.size, digest=file.digest) for file in record.files
    )
    if manifest.digest != record.origin.manifest:
        raise InvalidRecordError(problem="its files are not those of its manifest")
    return manifest


def _stage_of(record: RecordForm) -> Stage | None:
    return Stage.of(
        StagedFile(name=file.name, kind=file.kind, size=file.size, digest=file.digest)
        for file in record.stage
    )


def _registration_of(
    model: str, record: RecordForm, manifest: Manifest, stage: Stage | None, store: ArtifactStore
) -> Registration:
    given = versions.provenance_of(record.provenance)
    contract = given.feature_contract or _features_of(record)
    return Registration(
        model=model,
        manifest=manifest,
        stage=stage,
        provenance=given,
        flavour=inspect_artifact(store, manifest, lambda: contract),
        metrics=record.metrics,
        tags=record.tags,
        description=record.description,
    )


def _signature_of(
    parts: Parts, model: str, record: RecordForm, manifest: Manifest
) -> CheckedSignature | None:
    """Return the first signature in the record that holds here, checked as one of a registration.

    Most hold nowhere else: ours name the model, so under another name there is none.
    """
    for form in _signatures_in(record):
        with parts.database.reading() as session:
            keys = signing.keys_for(session, model, form)
        try:
            return signing.checked(model, manifest, form, keys)
        except (signing.SignatureNotTrustedError, signing.SignatureWrongError):
            continue
    return None


def _signatures_in(record: RecordForm) -> list[SignatureForm]:
    """Return the signatures that a record carries as evidence; what is none is passed over."""
    listed = record.evidence.get("signatures")
    found = []
    for one in listed[:MAX_SIGNATURES] if isinstance(listed, list) else ():
        try:
            kept = {name: one[name] for name in ("kind", "body")} if isinstance(one, dict) else {}
            found.append(SignatureForm.model_validate(kept))
        except (ValidationError, KeyError):
            continue
    return found


def _features_of(record: RecordForm) -> FeatureSchema | None:
    if record.features is None:
        return None
    return FeatureSchema.from_json([feature.model_dump() for feature in record.features])


def _origin_of(form: OriginForm | ParentForm) -> Origin:
    return Origin(form.model, form.number, form.manifest, form.registered_at, form.registered_by)
