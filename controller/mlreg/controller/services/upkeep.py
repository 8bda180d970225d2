"""The chores of bytes at rest: hash them anew, collect what nobody needs, and who is hit.

What always holds: whoever finds a champion's file corrupt (the scrub, a command, a download), an
incident of its deployment is open within a minute; while it is, the same file opens no other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.services.chore import Chore, ChoreRoom
from mlreg.controller.services.incidents import Alarm, open_incident
from mlreg.controller.store.upkeep import has_open_incident
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import garbage, scrubbing
from mlreg.registry.services.scrubbing import Pace
from mlreg.registry.store import at_rest
from mlreg.registry.store.clock import business_now

if TYPE_CHECKING:
    from mlreg.registry.store.at_rest import EndangeredChampion
    from mlreg.registry.store.database import Database

INCIDENT_KIND = "corrupt_artifact"
SCRUB_EVERY = timedelta(minutes=1)
COLLECT_EVERY = timedelta(hours=6)


def scrub(room: ChoreRoom) -> str:
    """Look at some blobs that are due, and raise the alarm for champions with a corrupt file.

    Raises:
        StoreUnreachableError: the store gave no answer; the rest is looked at the next time.
    """
    told = room.settings.upkeep
    pace = Pace(
        max_age=told.scrub_within,
        bytes_per_second=told.scrub_bytes_per_second,
        halt=room.halt,
    )
    garbage.spare(room.database)
    found = scrubbing.scrub_some(room.database, room.store, room.now, pace=pace)
    opened = alert_of_endangered(room.database)
    said = f"{found.blobs} blobs, {found.bytes} bytes, {len(found.corrupt)} corrupt"
    return said + (f"; incidents {', '.join(map(str, opened))}" if opened else "")


def collect(room: ChoreRoom) -> str:
    """Purge, condemn and remove what is due.

    Raises:
        StoreUnreachableError: the store gave no answer; what was begun goes on the next time.
    """
    with room.database.reading() as session:
        business = business_now(session, room.now)
    done = garbage.collect(
        room.database,
        room.store,
        room.now,
        retention=room.settings.upkeep.retention,
        business_now=business,
    )
    return (
        f"{done.purged} versions purged, {done.condemned + done.orphans} blobs condemned,"
        f" {done.removed} removed ({done.bytes} bytes)"
    )


def alert_of_endangered(database: Database) -> list[int]:
    """Open an incident for each champion with a corrupt file that has none; return the numbers."""
    opened = []
    with database.reading() as session:
        endangered = at_rest.list_endangered(session)
    for champion in endangered:
        with database.writing() as session:
            if has_open_incident(
                session, champion.model_id, champion.environment, INCIDENT_KIND, champion.digest
            ):
                continue
            now = business_now(session)
            opened.append(open_incident(session, _alarm(champion), actor=SYSTEM, now=now))
    return opened


def _alarm(champion: EndangeredChampion) -> Alarm:
    named = f"{champion.model}/{champion.number}"
    return Alarm(
        model_id=champion.model_id,
        environment=champion.environment,
        kind=INCIDENT_KIND,
        title=f"a stored file of the champion {named} is corrupt",
        line=(
            f"blob {champion.digest}: {champion.fault}. What serves it has its own verified copy"
            " and goes on; what starts anew cannot load it. Register the same file again to heal"
            " it, restore it from a backup, or roll back."
        ),
        evidence={"digest": champion.digest, "fault": champion.fault, "version": champion.number},
    )


SCRUB = Chore("scrub", SCRUB_EVERY, scrub)
COLLECT = Chore("collect", COLLECT_EVERY, collect)
