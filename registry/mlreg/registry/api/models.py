"""Routes of models."""

from __future__ import annotations

from fastapi import APIRouter, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.models import ArchiveRequest, ModelAnswer, ModelRequest
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Paging
from mlreg.registry.api.permission import PermissionDeniedError, may
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import catalog, retirement
from mlreg.registry.services.catalog import ModelSpecification
from mlreg.registry.store.tables import Model

router = APIRouter(prefix="/models", tags=["models"])


@router.post("", status_code=201, response_model=ModelAnswer, dependencies=[may("model.write")])
def create_model(
    body: ModelRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Create a model without versions; a caller for some models, one of these names."""
    if not caller.may("model.write", body.name):
        raise PermissionDeniedError(actor=caller.name, action="model.write", model=body.name)
    specification = ModelSpecification(
        name=body.name,
        target=TargetContract.from_json(body.target.model_dump()),
        features=features_of(body),
        description=body.description,
    )
    with writing() as session:
        return once.run(
            session,
            now,
            lambda: answer_of(catalog.create_model(session, specification, actor=caller, now=now)),
            status=201,
        )


@router.get("", dependencies=[may("read")])
def list_models(
    reading: Reading,
    caller: Caller,
    paging: Paging,
    after: str = "",
    *,
    archived: bool = False,
    deleted: bool = False,
) -> Page[ModelAnswer]:
    """List models by name: those in use, with `archived` these too, with `deleted` only those."""
    names, after, limit = caller.models_for("read"), paging.after(after), paging.limit
    with reading() as session:
        if deleted:
            page = retirement.list_deleted_models(session, after=after, limit=limit, names=names)
        else:
            page = catalog.list_models(
                session, after=after, limit=limit, archived=archived, names=names
            )
        return Page(items=[answer_of(model) for model in page.items], next=page.next)


@router.get("/{model}", dependencies=[may("read")])
def show_model(model: str, reading: Reading) -> ModelAnswer:
    """Show a model."""
    with reading() as session:
        return answer_of(catalog.get_model(session, model))


@router.post("/{model}/archive", response_model=ModelAnswer, dependencies=[may("model.write")])
def archive_model(
    model: str, body: ArchiveRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Archive a model."""
    with writing() as session:
        return once.run(
            session,
            now,
            lambda: answer_of(
                retirement.archive_model(session, model, reason=body.reason, actor=caller, now=now)
            ),
        )


def features_of(body: ModelRequest) -> FeatureSchema | None:
    """Return the declared features of a request."""
    if body.features is None:
        return None
    return FeatureSchema.from_json([feature.model_dump() for feature in body.features])


def answer_of(model: Model) -> ModelAnswer:
    """Return a model as it is answered."""
    return ModelAnswer(
        name=model.name,
        task=model.task,
        description=model.description,
        target=model.target_contract,
        features=model.feature_schema,
        last_version=model.last_version,
        created_at=model.created_at,
        created_by=model.created_by,
        archived_at=model.archived_at,
        archived_by=model.archived_by,
        archived_reason=model.archived_reason,
        deleted_at=model.deleted_at,
        deleted_by=model.deleted_by,
        deleted_reason=model.deleted_reason,
        allows_unsafe=model.allows_unsafe,
    )
