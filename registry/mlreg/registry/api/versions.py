"""Routes of versions: register, list, show, verify."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from mlreg.client.wire.attestations import AttestationAnswer
from mlreg.client.wire.base import Page
from mlreg.client.wire.versions import (
    FileAnswer,
    ProvenanceForm,
    StageFileAnswer,
    VerificationAnswer,
    VersionAnswer,
    VersionRequest,
)
from mlreg.registry.api.context import (
    Caller,
    Now,
    Parts,
    Reading,
    caller_of,
    now_of,
    parts_of,
)
from mlreg.registry.api.idempotency import OncePerKey, answered, once_of
from mlreg.registry.api.paging import Paging
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.api.permission import may
from mlreg.registry.api.short_routes import ShortRoute
from mlreg.registry.domain.contracts import FeatureContract, FeatureSchema
from mlreg.registry.domain.flavours import is_unsafe
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.pages import Page as PlacePage
from mlreg.registry.domain.provenance import DataItem, EnvironmentRecord, GitState, Provenance
from mlreg.registry.domain.references import MAX_NUMBER, PRODUCTION
from mlreg.registry.domain.stage import Stage, StagedFile
from mlreg.registry.services import attestations, catalog, retirement, scrubbing, signing, stages
from mlreg.registry.services.chains import chain_of
from mlreg.registry.services.file_access import check_known
from mlreg.registry.services.inspection import inspect_artifact
from mlreg.registry.services.registration import Registration, register_once
from mlreg.registry.store.database import ReadSession
from mlreg.registry.store.registration import NewVersion
from mlreg.registry.store.tables import Attestation, Model, SigningKey, Version
from mlreg.registry.store.version_documents import list_documents

router = APIRouter(prefix="/models/{model}/versions", tags=["versions"])
Before = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="Only versions below this number.")
]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
FIELDS = frozenset(VersionAnswer.model_fields)


@router.post(
    "", status_code=201, response_model=VersionAnswer, dependencies=[may("version.register")]
)
def register(
    model: str, body: VersionRequest, parts: Parts, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Register uploaded files as a version."""
    manifest, provenance = manifest_of(body), provenance_of(body.provenance)
    keys: Sequence[SigningKey] = ()
    if body.signature is not None or caller.models_for("read") is not None:
        with parts.database.reading() as session:
            check_known(session, manifest, [file.digest for file in body.stage], caller)
            keys = signing.keys_for(session, model, body.signature)
    registration = Registration(
        model=model,
        manifest=manifest,
        stage=stage_of(body),
        provenance=provenance,
        flavour=inspect_artifact(
            parts.store,
            manifest,
            lambda: provenance.feature_contract or _declared(parts, model),
        ),
        metrics=body.metrics,
        tags=body.tags,
        allow_missing=frozenset(body.allow_missing),
        description=body.description,
        signature=signing.checked(model, manifest, body.signature, keys),
    )
    with parts.database.writing() as session:
        given, replayed = register_once(
            session,
            registration,
            once.request,
            lambda version: answer_of_new(model, version).model_dump_json(),
            actor=caller,
            now=now,
        )
    return answered(given, replayed=replayed)


def short_routes(prefix: str) -> list[BaseRoute]:
    """Return the short way to `register`, below an API prefix."""

    async def answer(request: Request, body: VersionRequest) -> Response:
        parts, once = await parts_of(request), await once_of(request)
        model, caller, now = request.path_params["model"], caller_of(request), await now_of(parts)
        return await run_in_threadpool(register, model, body, parts, once, caller, now)

    path = f"{prefix}{router.prefix}"
    return [ShortRoute(path, "version.register", VersionRequest, answer)]


def _declared(parts: ApiParts, model: str) -> FeatureSchema | None:
    with parts.database.reading() as session:
        return catalog.feature_schema_of(catalog.get_model(session, model))


@router.get("", response_model=Page[VersionAnswer], dependencies=[may("read")])
def list_versions(
    model: str,
    reading: Reading,
    paging: Paging,
    before: Before = None,
    *,
    archived: bool = False,
    deleted: bool = False,
) -> Response:
    """List versions, newest first: with `archived` these too, with `deleted` only those."""
    before, limit = paging.below(before), paging.limit
    with reading() as session:
        found = catalog.get_model(session, model)
        if deleted:
            gone = retirement.list_deleted_versions(session, found, before=before, limit=limit)
            places = [(version.model_id, version.number) for version in gone.items]
            return page_answer(session, PlacePage(places, gone.next))
        return documents_answer(
            catalog.list_documents(
                session, found, FIELDS, before=before, limit=limit, archived=archived
            )
        )


@router.get("/champion", dependencies=[may("read")])
def show_champion(model: str, reading: Reading, environment: str = PRODUCTION) -> VersionAnswer:
    """Show the version that serves a model in an environment."""
    with reading() as session:
        return _whole_answer(session, *catalog.resolve(session, f"{model}@champion:{environment}"))


@router.get("/{number}", dependencies=[may("read")])
def show_version(model: str, number: Number, reading: Reading) -> VersionAnswer:
    """Show a version with its files and its feature contract."""
    with reading() as session:
        found = catalog.get_model(session, model)
        return _whole_answer(session, found, catalog.get_version(session, found, number))


@router.post("/{number}/verify", dependencies=[may("read")])
def verify_version(
    model: str, number: Number, parts: Parts, caller: Caller, now: Now
) -> VerificationAnswer:
    """Hash every file of a version and of its stage anew, and write down what was found."""
    with parts.database.reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, model), number)
        files = [*catalog.get_manifest(session, version).files]
        files += [
            ManifestFile(path=f"stage/{one.name}", size=one.size, digest=one.digest)
            for one in stages.list_stage(session, version)
        ]
    digests = list(dict.fromkeys(file.digest for file in files))
    found = scrubbing.look_again(parts.database, parts.store, digests, actor=caller, now=now)
    corrupt = {blob.digest for blob in found.corrupt}
    return VerificationAnswer(
        model=model,
        number=number,
        files=len(files),
        bytes=sum(file.size for file in files),
        broken=files_answer(tuple(file for file in files if file.digest in corrupt)),
    )


def page_answer(session: ReadSession, page: PlacePage[tuple[int, int]]) -> Response:
    """Return a page of versions, without files and contract, as PostgreSQL writes them."""
    return documents_answer(PlacePage(list_documents(session, page.items, FIELDS), page.next))


def documents_answer(page: PlacePage[str]) -> Response:
    """Return a page of JSON texts."""
    body = f'{{"items":[{",".join(page.items)}],"next":{json.dumps(page.next)}}}'
    return Response(body, media_type="application/json")


def manifest_of(body: VersionRequest) -> Manifest:
    """Return the manifest of a request."""
    return Manifest.of(
        ManifestFile(path=file.path, size=file.size, digest=file.digest) for file in body.files
    )


def stage_of(body: VersionRequest) -> Stage | None:
    """Return the stage of a request, None when it has none."""
    return Stage.of(
        StagedFile(name=file.name, kind=file.kind, size=file.size, digest=file.digest)
        for file in body.stage
    )


def snapshots_of(form: ProvenanceForm) -> tuple[str, ...] | None:
    """Return the digests of all data of a request, named or not, each once."""
    if form.snapshots is None and form.data is None:
        return None
    named = [item.digest for item in form.data or ()]
    return tuple(dict.fromkeys([*(form.snapshots or ()), *named]))


def provenance_of(form: ProvenanceForm) -> Provenance:
    """Return the provenance of a request."""
    git, environment, contract, data = form.git, form.environment, form.contract, form.data
    return Provenance(
        git=None if git is None else GitState(git.commit, git.dirty, git.remote),
        snapshots=snapshots_of(form),
        data=None if data is None else tuple(DataItem(**dict(item)) for item in data),
        feature_contract=None
        if contract is None
        else FeatureContract.from_json([dict(feature) for feature in contract]),
        hyperparameters=form.hyperparameters,
        seeds=form.seeds,
        environment=None if environment is None else EnvironmentRecord(**dict(environment)),
        trainer=form.trainer,
        lane=form.lane,
        parent=form.parent,
        train_start=form.train_start,
        train_end=form.train_end,
        trained_by=form.trained_by,
        duration_seconds=form.duration_seconds,
        peak_memory_bytes=form.peak_memory_bytes,
    )


def files_answer(files: tuple[ManifestFile, ...]) -> list[FileAnswer]:
    """Return files as they are answered."""
    return [FileAnswer(path=file.path, size=file.size, digest=file.digest) for file in files]


def answer_of(model: str, version: Version) -> VersionAnswer:
    """Return a version as it is answered, without files and contract."""
    return _answer(model, version.model_dump())


def answer_of_new(model: str, version: NewVersion) -> VersionAnswer:
    """Return a version that was just registered as it is answered."""
    return _answer(model, version.columns)


def _answer(model: str, columns: Mapping[str, Any]) -> VersionAnswer:
    return VersionAnswer(
        model=model,
        manifest=columns["manifest_digest"],
        unsafe=is_unsafe(columns["flavour"]),
        **columns,
    )


def attestation_answer(found: Attestation) -> AttestationAnswer:
    """Return an attestation as it is answered."""
    reason = str(found.body.get("reason", ""))
    same = found.model_dump(exclude={"id", "model_id", "number"})
    return AttestationAnswer(number=found.id or 0, reason=reason, **same)


def _resting(session: ReadSession, files: tuple[ManifestFile, ...]) -> list[FileAnswer]:
    """Return files with what was last found of their bytes."""
    found = catalog.resting_blobs(session, [file.digest for file in files])
    return [
        answer.model_copy(
            update={"state": blob and blob.state, "verified_at": blob and blob.verified_at}
        )
        for answer in files_answer(files)
        for blob in (found.get(answer.digest),)
    ]


def _whole_answer(session: ReadSession, model: Model, version: Version) -> VersionAnswer:
    contract = catalog.find_feature_contract(session, version)
    files = _resting(session, catalog.get_manifest(session, version).files)
    stage = [
        StageFileAnswer.model_validate(file, from_attributes=True)
        for file in stages.list_stage(session, version)
    ]
    more = {
        "files": files,
        "stage": stage,
        "chain": [one.number for one in chain_of(session, model, version)],
        "contract": None if contract is None else contract.to_json(),
        "attestations": [
            attestation_answer(one) for one in attestations.list_attestations(session, version)
        ],
    }
    return answer_of(model.name, version).model_copy(update=more)
