"""The rules of the garbage collection: how long what nobody needs is kept, and what is a root.

Pure: the service reads, asks these rules, and removes.

What always holds: nothing is removed that anybody refers to; what nobody refers to is condemned
after `GRACE`, and removed `REPRIEVE` after that; the bytes of what served lately stay, even when
its version was deleted long ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

GRACE = timedelta(days=7)
REPRIEVE = timedelta(hours=24)
QUARANTINED = timedelta(days=90)
KEPT_CHAMPIONS = 5


@dataclass(frozen=True, slots=True)
class Retention:
    """What the operator wants kept.

    Attributes:
        served_within: the bytes of versions that were champion within this time stay.
        champions: so many of the newest champions of each deployment stay.
    """

    served_within: timedelta = timedelta(days=365)
    champions: int = KEPT_CHAMPIONS


@dataclass(frozen=True, slots=True)
class Claim:
    """Why the bytes of a deleted version are needed still; empty when they are not.

    Attributes:
        last_reign: when it last was a champion, None if never.
    """

    in_service: bool = False
    is_new_champion: bool = False
    last_reign: datetime | None = None
    has_children: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a collection would do, or did.

    Attributes:
        verb: `purge` a version, `condemn` or `remove` a blob, `keep` what was deleted.
        what: the version or the digest.
        why: in words.
        due_at: when it will be done, if not at once.
    """

    verb: str
    what: str
    why: str
    bytes: int = 0
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, in numbers; `bytes` is what was freed."""

    purged: int = 0
    condemned: int = 0
    removed: int = 0
    spared: int = 0
    orphans: int = 0
    bytes: int = 0
    items: tuple[Item, ...] = field(default=())


def reason_to_keep(claim: Claim, retention: Retention, now: datetime) -> str | None:
    """Return why a deleted version's bytes stay; None when they may go."""
    if claim.in_service:
        return "it is in service"
    if claim.is_new_champion:
        return f"it is one of the last {retention.champions} champions"
    if claim.last_reign is not None and now - claim.last_reign < retention.served_within:
        return f"it served within the last {retention.served_within.days} days"
    if claim.has_children:
        return "another version began from it"
    return None
