"""Archiving, deleting and restoring models and versions.

What always holds: every verb takes the model's row, then its deployments in the order of their
ids, then writes, and the audit head last; a promote that is under way is therefore seen, or sees
what was done here. Repeating a verb is harmless: what is so already is answered as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.pages import MAX_PAGE, Page, page_of
from mlreg.registry.domain.retirement import (
    InServiceError,
    NotDeletedError,
    Place,
    PurgedError,
    ReasonNeededError,
    Service,
    candidate_numbers,
    live_places,
    places_of,
)
from mlreg.registry.domain.revisions import find_rollback_target
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import ModelNotFoundError, VersionNotFoundError, id_of
from mlreg.registry.store import deployments, outbox
from mlreg.registry.store import retirement as rows
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model, Version

Verb = Literal["archive", "delete", "restore"]
_PAST = {"archive": "archived", "delete": "deleted", "restore": "restored"}


def archive_version(
    session: WriteSession, model: str, number: int, *, reason: str, actor: Actor, now: datetime
) -> Version:
    """Archive a version: hidden from lists and search, not promoted, still shown and downloaded.

    Raises:
        ModelNotFoundError, VersionNotFoundError: it is not there, or deleted.
        ReasonNeededError: no reason was given.
        InServiceError: it serves somewhere now.
    """
    found, version = _lock_version(session, model, number)
    if version.deleted_at is not None:
        raise VersionNotFoundError(model=model, number=number)
    if version.archived_at is None:
        _check_reason("archive", reason)
        places = live_places(list_places(session, found, number))
        _check_free(f"{model}/{number}", "archived", places)
        version.archived_at, version.archived_by = now, actor.name
        version.archived_reason = reason
        _record(session, "archive", _named(found, version), reason=reason, actor=actor, now=now)
    return version


def delete_version(
    session: WriteSession, model: str, number: int, *, reason: str, actor: Actor, now: datetime
) -> Version:
    """Delete a version: gone for everybody, restorable for 30 days, its number never reused.

    Raises:
        ModelNotFoundError, VersionNotFoundError: it is not there.
        ReasonNeededError: no reason was given.
        InServiceError: it is live somewhere, or a rollback would lead to it; names where.
    """
    found, version = _lock_version(session, model, number)
    if version.deleted_at is None:
        _check_reason("delete", reason)
        _check_free(f"{model}/{number}", "deleted", list_places(session, found, number))
        version.deleted_at, version.deleted_by = now, actor.name
        version.deleted_reason = reason
        _record(session, "delete", _named(found, version), reason=reason, actor=actor, now=now)
    return version


def restore_version(
    session: WriteSession, model: str, number: int, *, reason: str, actor: Actor, now: datetime
) -> Version:
    """Undo a delete, as it was before; of a version that is only archived, undo that.

    Raises:
        ModelNotFoundError, NotDeletedError: it never was.
        PurgedError: it was deleted more than 30 days ago, and its bytes may be gone.
    """
    found = _lock_model(session, model)
    version = rows.lock_any_version(session, id_of(found), number)
    if version is None:
        raise NotDeletedError(what=f"{model}/{number}")
    if _undo(version, f"{model}/{number}"):
        _record(session, "restore", _named(found, version), reason=reason, actor=actor, now=now)
    return version


def archive_model(
    session: WriteSession, name: str, *, reason: str, actor: Actor, now: datetime
) -> Model:
    """Archive a model: it stays readable, and takes no new versions and no promotes.

    What serves goes on serving, and can be rolled back.

    Raises:
        ModelNotFoundError: there is none of that name.
        ReasonNeededError: no reason was given.
    """
    model = _lock_model(session, name)
    if model.archived_at is None:
        _check_reason("archive", reason)
        model.archived_at, model.archived_by, model.archived_reason = now, actor.name, reason
        _record(session, "archive", _named(model), reason=reason, actor=actor, now=now)
    return model


def delete_model(
    session: WriteSession, name: str, *, reason: str, actor: Actor, now: datetime
) -> Model:
    """Delete a model with all its versions; its name is never given again.

    Raises:
        ModelNotFoundError: there is none of that name.
        ReasonNeededError: no reason was given.
        InServiceError: one of its versions serves somewhere; names where.
    """
    model = rows.lock_any_model(session, checked_name(name))
    if model is None:
        raise ModelNotFoundError(model=name)
    if model.deleted_at is None:
        _check_reason("delete", reason)
        live = [service for service in _services(session, model) if service.champion is not None]
        places = [Place(service.environment, "champion") for service in live]
        _check_free(f"model {name}", "deleted", places)
        model.deleted_at, model.deleted_by, model.deleted_reason = now, actor.name, reason
        _record(session, "delete", _named(model), reason=reason, actor=actor, now=now)
    return model


def restore_model(
    session: WriteSession, name: str, *, reason: str, actor: Actor, now: datetime
) -> Model:
    """Undo a delete of a model; of one that is only archived, undo that.

    Versions of it that were purged meanwhile stay deleted.

    Raises:
        NotDeletedError: there never was one.
    """
    model = rows.lock_any_model(session, checked_name(name))
    if model is None:
        raise NotDeletedError(what=f"model {name}")
    if _undo(model, f"model {name}"):
        _record(session, "restore", _named(model), reason=reason, actor=actor, now=now)
    return model


def allow_unsafe(
    session: WriteSession,
    name: str,
    *,
    allowed: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Model:
    """Let versions of a model go live whose files can run code when they are loaded, or not.

    No server of ours ever loads them; it is their clients that do.

    Raises:
        ModelNotFoundError: there is none of that name.
        ReasonNeededError: no reason was given.
    """
    model = _lock_model(session, name)
    if model.allows_unsafe != allowed:
        _check_reason("allow", reason)
        model.allows_unsafe = allowed
        audit.record(
            session,
            action="model.unsafe",
            subject=f"model:{name}",
            actor=actor,
            body={"model": name, "allowed": allowed, "reason": reason},
            now=now,
        )
    return model


def list_places(session: WriteSession, model: Model, number: int) -> list[Place]:
    """Return where a version is in service, with every deployment of the model locked."""
    return list(places_of(number, model.name, _services(session, model)))


def list_deleted_versions(
    session: ReadSession, model: Model, *, before: int | None = None, limit: int = 100
) -> Page[Version]:
    """Return a page of a model's deleted versions, newest first; `before` is the cursor."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = rows.deleted_versions_before(session, id_of(model), before, limit + 1)
    return page_of(found, limit, str(found[:limit][-1].number) if found else "")


def list_deleted_models(
    session: ReadSession,
    *,
    after: str = "",
    limit: int = 100,
    names: Collection[str] | None = None,
) -> Page[Model]:
    """Return a page of deleted models by name; `after` is the cursor of the page before."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = rows.deleted_models_after(session, after, limit + 1, names)
    return page_of(found, limit, found[:limit][-1].name if found else "")


def _services(session: WriteSession, model: Model) -> list[Service]:
    return [
        Service(
            environment=row.environment,
            champion=row.champion,
            candidates=candidate_numbers(row.candidates or ()),
            fallback=row.fallback,
            rollback_target=find_rollback_target(
                deployments.walk_facts(session, row.id),
                row.champion,
                gone=rows.deleted_numbers(session, id_of(model)),
            ),
        )
        for row in rows.lock_deployments(session, id_of(model))
    ]


def _lock_model(session: WriteSession, name: str) -> Model:
    model = rows.lock_any_model(session, checked_name(name))
    if model is None or model.deleted_at is not None:
        raise ModelNotFoundError(model=name)
    return model


def _lock_version(session: WriteSession, model: str, number: int) -> tuple[Model, Version]:
    found = _lock_model(session, model)
    version = rows.lock_any_version(session, id_of(found), number)
    if version is None:
        raise VersionNotFoundError(model=model, number=number)
    return found, version


def _undo(row: Model | Version, what: str) -> bool:
    """Undo the delete, else the archiving, of a row; say whether there was anything to undo."""
    if getattr(row, "purged_at", None) is not None:
        raise PurgedError(what=what)
    if row.deleted_at is not None:
        row.deleted_at = row.deleted_by = row.deleted_reason = None
        return True
    if row.archived_at is not None:
        row.archived_at = row.archived_by = row.archived_reason = None
        return True
    return False


def _check_reason(verb: str, reason: str) -> None:
    if not reason.strip():
        raise ReasonNeededError(verb=verb)


def _check_free(what: str, verb: str, places: Collection[Place]) -> None:
    if places:
        raise InServiceError(what=what, verb=verb, places=list(places))


def _named(model: Model, version: Version | None = None) -> dict[str, object]:
    """Return whom an event is about."""
    if version is None:
        return {"model": model.name}
    return {"model": model.name, "version": version.number, "manifest": version.manifest_digest}


def _record(
    session: WriteSession,
    verb: Verb,
    what: dict[str, object],
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    noun = "version" if "version" in what else "model"
    name = f"{what['model']}/{what['version']}" if noun == "version" else str(what["model"])
    session.flush()
    failpoint("retirement.written")
    body = {**what, "reason": reason, "actor": actor.name}
    outbox.add(session, f"{noun}.{_PAST[verb]}", body, now)
    audit.record(
        session,
        action=f"{noun}.{verb}",
        subject=f"{noun}:{name}",
        actor=actor,
        body={**what, "reason": reason},
        now=now,
    )
