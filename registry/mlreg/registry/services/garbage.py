"""The garbage collection: versions deleted long ago lose their claims, unclaimed bytes go.

What always holds, whoever uploads, registers or is killed meanwhile: a blob that anybody refers to
keeps its bytes. A blob is condemned, and a day later marked `deleting` under its row's lock after
its references were counted once more; only then are its bytes removed, under that lock again, and
the row last. Who brings the bytes again, or registers them, takes the lock too and finds the blob
as it was, or gone, and says so. Objects without a row are reported (condemned) first like all else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.opening import open_upkeep
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.garbage import (
    GRACE,
    QUARANTINED,
    REPRIEVE,
    Claim,
    Collected,
    Item,
    Retention,
    reason_to_keep,
)
from mlreg.registry.domain.retirement import RECOVERABLE
from mlreg.registry.services import audit, retirement
from mlreg.registry.store import blobs
from mlreg.registry.store import garbage as rows
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.retirement import lock_any_model, lock_any_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.upkeep import StoredBlob
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import Database, ReadSession, WriteSession
    from mlreg.registry.store.tables import Model, Version

PAGE = 100
ORPHAN_PAGE = 500
MAX_ITEMS = 10_000


def collect(
    database: Database,
    store: ArtifactStore,
    now: datetime,
    *,
    retention: Retention | None = None,
    actor: Actor = SYSTEM,
    business_now: datetime | None = None,
) -> Collected:
    """Purge, condemn and remove what is due; harmless to repeat, to race and to kill.

    Args:
        database: where state is; each step is a short transaction of its own.
        store: where bytes are.
        now: real time: the ages of bytes are real.
        retention: what the operator wants kept.
        actor: by whose hand.
        business_now: the time in which versions were deleted; real time by default.

    Raises:
        StoreUnreachableError: what was begun goes on the next time.
    """
    kept = retention or Retention()
    purged = purge(database, business_now or now, kept, actor=actor)
    spared, condemned = spare(database), _condemn(database, now)
    orphans = _adopt(database, store, now)
    done = Collected(len(purged), len(condemned), 0, spared, orphans, items=tuple(purged))
    for digest, size in _begin(database, now, actor):
        done = replace(done, items=(*done.items, Item("remove", digest, "condemned", size)))
    removed = _finish(database, store)
    sizes = {item.what: item.bytes for item in done.items if item.verb == "remove"}
    open_upkeep(store).sweep_quarantine(now - QUARANTINED)
    return replace(done, removed=len(removed), bytes=sum(sizes.get(one, 0) for one in removed))


def plan(
    database: Database,
    store: ArtifactStore,
    now: datetime,
    *,
    retention: Retention | None = None,
    business_now: datetime | None = None,
) -> list[Item]:
    """Return what a collection would do now and later, and why; changes nothing.

    Raises:
        StoreUnreachableError: the store cannot be listed.
    """
    kept = retention or Retention()
    items: list[Item] = []
    with database.reading() as session:
        for model_id, number in rows.list_expired(
            session, (business_now or now) - RECOVERABLE, MAX_ITEMS
        ):
            items.append(_planned_purge(session, model_id, number, kept, business_now or now))
        unneeded = rows.list_unneeded(session, now - GRACE, MAX_ITEMS - len(items))
    items += [_planned_removal(blob, now) for blob in unneeded]
    for orphan in _orphans(database, store, now):
        why = f"{rows.ORPHAN}, written {orphan.modified_at:%Y-%m-%d}"
        items.append(Item("condemn", orphan.digest, why, orphan.size))
        if len(items) >= MAX_ITEMS:
            break
    return items


def purge(
    database: Database, now: datetime, retention: Retention, *, actor: Actor = SYSTEM
) -> list[Item]:
    """Take the claims of versions that were deleted more than 30 days ago; their rows stay."""
    with database.reading() as session:
        expired = rows.list_expired(session, now - RECOVERABLE, MAX_ITEMS)
    purged = []
    for model_id, number in expired:
        with database.writing() as session:
            item = _purge(session, model_id, number, retention, now)
            if item.verb == "purge":
                purged.append(item)
                body = {"version": item.what, "why": item.why}
                audit.record(
                    session,
                    action="version.purge",
                    subject=f"version:{item.what}",
                    actor=actor,
                    body=body,
                    now=now,
                )
    return purged


def _purge(
    session: WriteSession, model_id: int, number: int, retention: Retention, now: datetime
) -> Item:
    """Purge one version if it is due and may go.

    Its blobs are locked first, as in a registration, then what a delete locks.
    """
    rows.lock_blobs_of(session, rows.get_version_row(session, model_id, number))
    name = rows.get_model_by_id(session, model_id).name
    model = lock_any_model(session, name)
    version = lock_any_version(session, model_id, number)
    if model is None or version is None or not _is_due(model, version, now):
        return Item("keep", f"{name}/{number}", "it was restored")
    in_service = bool(retirement.list_places(session, model, number))
    item = _judged(session, (model, version), retention, now, in_service=in_service)
    if item.verb == "purge":
        for kind, owner in rows.manifests_of(session, version):
            rows.release(session, kind, owner)
        version.purged_at = now
        if version.deleted_at is None:
            version.deleted_at, version.deleted_by = model.deleted_at, model.deleted_by
            version.deleted_reason = "its model was deleted"
        session.flush()
        failpoint("garbage.purged")
    return item


def _judged(
    session: ReadSession,
    expired: tuple[Model, Version],
    retention: Retention,
    now: datetime,
    *,
    in_service: bool = False,
) -> Item:
    model, version = expired
    number, model_id = version.number, version.model_id
    claim = Claim(
        in_service=in_service,
        is_new_champion=number in rows.newest_champions(session, model_id, retention.champions),
        last_reign=rows.last_reign(session, model_id, number, now),
        has_children=rows.has_children(session, model_id, number),
    )
    reason = reason_to_keep(claim, retention, now)
    if reason is not None:
        return Item("keep", f"{model.name}/{number}", reason)
    deleted = version.deleted_at or model.deleted_at
    return Item("purge", f"{model.name}/{number}", f"deleted {deleted:%Y-%m-%d}")


def _planned_purge(
    session: ReadSession, model_id: int, number: int, retention: Retention, now: datetime
) -> Item:
    model = rows.get_model_by_id(session, model_id)
    version = rows.get_version_row(session, model_id, number)
    return _judged(session, (model, version), retention, now)


def _planned_removal(blob: rows.UnneededBlob, now: datetime) -> Item:
    why = blob.fault if blob.fault == rows.ORPHAN else "no version, segment or snapshot needs it"
    if blob.condemned_at is None:
        return Item("condemn", blob.digest, f"{why}", blob.size)
    due_at = blob.condemned_at + REPRIEVE
    late = None if due_at <= now else due_at
    return Item("remove", blob.digest, str(why), blob.size, late)


def _is_due(model: Model, version: Version, now: datetime) -> bool:
    ends = [one.deleted_at for one in (model, version) if one.deleted_at is not None]
    return version.purged_at is None and any(now - end > RECOVERABLE for end in ends)


def spare(database: Database) -> int:
    """Take back what was condemned and is needed after all; return how many blobs that were."""
    with database.reading() as session:
        digests = rows.needed_again(session, MAX_ITEMS)
    for digest in digests:
        with database.writing() as session:
            blobs.spare(session, [digest])
    return len(digests)


def _condemn(database: Database, now: datetime) -> list[str]:
    condemned: list[str] = []
    while True:
        with database.writing() as session:
            page = rows.condemn(session, now - GRACE, now, PAGE)
        failpoint("garbage.condemned")
        condemned += page
        if not page:
            return condemned


def _begin(database: Database, now: datetime, actor: Actor) -> list[tuple[str, int]]:
    """Mark what was condemned a day ago, with an entry in the audit log for each page."""
    begun: list[tuple[str, int]] = []
    while True:
        with database.writing() as session:
            page = rows.begin_deleting(session, now - REPRIEVE, PAGE)
            if page:
                body = {
                    "digests": [digest for digest, _ in page],
                    "bytes": sum(size for _, size in page),
                }
                audit.record(
                    session,
                    action="blob.delete",
                    subject="blobs",
                    actor=actor,
                    body=body,
                    now=now,
                )
        failpoint("garbage.deleting")
        begun += page
        if not page:
            return begun


def _finish(database: Database, store: ArtifactStore) -> list[str]:
    """Remove the bytes and then the row of what was marked, now or by one who was killed."""
    with database.reading() as session:
        digests = rows.list_deleting(session, MAX_ITEMS)
    removed = []
    for digest in digests:
        with database.writing() as session:
            if not rows.lock_deleting(session, digest):
                continue
            store.delete(digest)
            failpoint("garbage.removed")
            rows.drop_row(session, digest)
        failpoint("garbage.dropped")
        removed.append(digest)
    return removed


def _adopt(database: Database, store: ArtifactStore, now: datetime) -> int:
    adopted, page = 0, []
    for orphan in _orphans(database, store, now):
        page.append(orphan)
        if len(page) == PAGE:
            adopted += _adopt_page(database, page, now)
            page = []
    return adopted + _adopt_page(database, page, now)


def _adopt_page(database: Database, page: list[StoredBlob], now: datetime) -> int:
    if not page:
        return 0
    with database.writing() as session:
        found = [(stored.digest, stored.size, stored.modified_at) for stored in page]
        return rows.adopt_orphans(session, found, now)


def _orphans(database: Database, store: ArtifactStore, now: datetime) -> Iterator[StoredBlob]:
    """Yield objects that are older than a week and that no row names."""
    page: list[StoredBlob] = []
    for stored in open_upkeep(store).list_blobs():
        if stored.modified_at < now - GRACE:
            page.append(stored)
        if len(page) == ORPHAN_PAGE:
            yield from _rowless(database, page)
            page = []
    yield from _rowless(database, page)


def _rowless(database: Database, page: list[StoredBlob]) -> list[StoredBlob]:
    with database.reading() as session:
        digests = rows.without_row(session, [stored.digest for stored in page])
    return [stored for stored in page if stored.digest in digests]
