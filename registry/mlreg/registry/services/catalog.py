"""Models and versions: create, find, list, and resolve what a reference names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.contracts import FeatureContract, FeatureSchema
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.domain.manifests import Manifest
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.pages import MAX_PAGE, Page, page_of
from mlreg.registry.domain.references import VersionNeededError, parse_reference
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import audit
from mlreg.registry.store import blobs, models, version_documents, versions
from mlreg.registry.store.tables import Blob, Model, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


class ModelNotFoundError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"
    hint = "`mlreg model list` shows what there is."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"no model {model!r}")


class VersionNotFoundError(NotFoundError):
    """The model has no version of that number."""

    code = "version_not_found"
    hint = "`mlreg version list MODEL` shows what there is."

    def __init__(self, *, model: str, number: int) -> None:
        super().__init__(f"no version {number} of model {model!r}")


class EnvironmentNotFoundError(NotFoundError):
    """That environment is not declared."""

    code = "environment_not_found"
    hint = "`mlreg environment list` shows what there is."

    def __init__(self, *, environment: str) -> None:
        super().__init__(f"no environment {environment!r}")


class NoChampionError(NotFoundError):
    """Nothing serves the model in that environment."""

    code = "no_champion"
    hint = "Promote a version first."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"model {model!r} has no champion in {environment!r}")


class ModelExistsError(RefusedError):
    """A model of that name is there, or was and is archived or deleted."""

    code = "model_exists"
    hint = "`mlreg model list --archived` and `--deleted` show those that are hidden."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} exists already")


class PositiveClassError(InvalidError):
    """The positive class of a binary model is not the one that label 1 stands for."""

    code = "positive_class_first"

    def __init__(self, *, classes: tuple[str, ...], positive: str) -> None:
        super().__init__(
            f"the positive class {positive!r} is the first: labels count from 0 in the order of"
            " the classes, and 1 is the positive one"
        )
        self.hint = f"Say the classes as {','.join(reversed(classes))}."


class ModelArchivedError(RefusedError):
    """An archived model takes no new versions."""

    code = "model_archived"

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} is archived")


@dataclass(frozen=True, slots=True)
class ModelSpecification:
    """A model as somebody declares it.

    Attributes:
        features: the columns every version must keep to; None leaves it to each version.
    """

    name: str
    target: TargetContract
    features: FeatureSchema | None = None
    description: str = ""


def create_model(
    session: WriteSession, specification: ModelSpecification, *, actor: Actor, now: datetime
) -> Model:
    """Create a model without versions.

    Raises:
        InvalidNameError: the name is none.
        ModelExistsError: there is one of that name.
        PositiveClassError: label 1 would not stand for the positive class.
    """
    name = checked_name(specification.name)
    target = specification.target
    if target.positive_class is not None and target.positive_class != target.classes[-1]:
        raise PositiveClassError(classes=target.classes, positive=target.positive_class)
    if models.name_is_taken(session, name):
        raise ModelExistsError(model=name)
    features = specification.features
    model = Model(
        name=name,
        task=target.task,
        description=specification.description,
        target_contract=target.to_json(),
        feature_schema=None if features is None else features.to_json(),
        created_at=now,
        created_by=actor.name,
    )
    session.add(model)
    session.flush()
    body = {"target": model.target_contract, "features": model.feature_schema}
    audit.record(
        session, action="model.create", subject=f"model:{name}", actor=actor, body=body, now=now
    )
    return model


def get_model(session: ReadSession, name: str) -> Model:
    """Return a model, archived or not.

    Raises:
        InvalidNameError: the name is none.
        ModelNotFoundError: there is none of that name.
    """
    model = models.find_model(session, checked_name(name))
    if model is None:
        raise ModelNotFoundError(model=name)
    return model


def lock_model(session: WriteSession, name: str) -> Model:
    """Return a model with its row locked until the commit.

    Raises:
        ModelNotFoundError: there is none of that name.
    """
    model = models.find_model_locked(session, checked_name(name))
    if model is None:
        raise ModelNotFoundError(model=name)
    return model


def list_models(
    session: ReadSession,
    *,
    after: str = "",
    limit: int = 100,
    archived: bool = False,
    names: Collection[str] | None = None,
) -> Page[Model]:
    """Return a page of models by name, of `names` only where they are given.

    `after` is the cursor of the page before.
    """
    limit = min(max(limit, 1), MAX_PAGE)
    found = models.models_after(session, after, limit + 1, archived=archived, names=names)
    return page_of(found, limit, found[:limit][-1].name if found else "")


def find_version(session: ReadSession, model: Model, number: int) -> Version | None:
    """Return a version of a model, None if it has none of that number."""
    return versions.find_version_row(session, id_of(model), number)


def get_version(session: ReadSession, model: Model, number: int) -> Version:
    """Return a version of a model.

    Raises:
        VersionNotFoundError: the model has none of that number.
    """
    version = find_version(session, model, number)
    if version is None:
        raise VersionNotFoundError(model=model.name, number=number)
    return version


def list_versions(
    session: ReadSession,
    model: Model,
    *,
    before: int | None = None,
    limit: int = 100,
    archived: bool = False,
) -> Page[Version]:
    """Return a page of a model's versions, newest first; `before` is the cursor."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = versions.versions_before(session, id_of(model), before, limit + 1, archived=archived)
    return page_of(found, limit, str(found[:limit][-1].number) if found else "")


def list_documents(
    session: ReadSession,
    model: Model,
    fields: frozenset[str],
    *,
    before: int | None = None,
    limit: int = 100,
    archived: bool = False,
) -> Page[str]:
    """Return a page as `list_versions` does, of JSON texts with those fields."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = version_documents.documents_before(
        session, id_of(model), before, limit + 1, fields, archived=archived
    )
    texts = [document for _, document in found]
    return page_of(texts, limit, str(found[:limit][-1][0]) if found else "")


def resolve(session: ReadSession, reference: str) -> tuple[Model, Version]:
    """Return the version that a reference names: `flights/12`, `flights@champion:staging`.

    Raises:
        InvalidReferenceError, VersionNeededError: it is no reference, or to a model only.
        ModelNotFoundError, VersionNotFoundError, EnvironmentNotFoundError, NoChampionError.
    """
    parsed = parse_reference(reference)
    model = get_model(session, parsed.model)
    if parsed.number is not None:
        return model, get_version(session, model, parsed.number)
    if parsed.environment is None:
        raise VersionNeededError(model=model.name)
    check_environment(session, parsed.environment)
    number = versions.find_champion_number(session, id_of(model), parsed.environment)
    if number is None:
        raise NoChampionError(model=model.name, environment=parsed.environment)
    return model, get_version(session, model, number)


def check_environment(session: ReadSession, environment: str) -> None:
    """Check that an environment is declared.

    Raises:
        EnvironmentNotFoundError: it is not.
    """
    if not versions.environment_exists(session, environment):
        raise EnvironmentNotFoundError(environment=environment)


def get_manifest(session: ReadSession, version: Version) -> Manifest:
    """Return the files of a version."""
    return Manifest.from_body(versions.manifest_body(session, version.manifest_digest))


def resting_blobs(session: ReadSession, digests: Collection[str]) -> Mapping[str, Blob]:
    """Return the rows of those blobs that are known, by digest."""
    return {blob.digest: blob for blob in blobs.list_blobs(session, digests)}


def find_feature_contract(session: ReadSession, version: Version) -> FeatureContract | None:
    """Return the feature contract of a version, None if it was registered without."""
    if version.feature_contract is None:
        return None
    body = versions.find_contract_body(session, version.feature_contract)
    return None if body is None else FeatureContract.from_json(body)


def feature_schema_of(model: Model) -> FeatureSchema | None:
    """Return the declared features of a model, None if it declares none."""
    return None if model.feature_schema is None else FeatureSchema.from_json(model.feature_schema)


def target_contract_of(model: Model) -> TargetContract:
    """Return what a model answers."""
    return TargetContract.from_json(model.target_contract)


def id_of(model: Model) -> int:
    """Return the key of a model that is in the database."""
    if model.id is None:
        raise ModelNotFoundError(model=model.name)
    return model.id
