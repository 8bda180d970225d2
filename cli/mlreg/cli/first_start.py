"""What a database needs before the first service uses it: schema, clock, admin token.

Run by `mlreg up` in a process of its own, so that the supervisor stays small. Every step may be
repeated; a second run changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.cli.installation import VirtualInProductionError, set_clock
from mlreg.cli.migrations import upgrade
from mlreg.registry.services.access import ensure_admin_token
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.cli.settings import Settings


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start found or made.

    Attributes:
        token: the admin token, if this call made it; it is shown nowhere else.
        virtual_now: the virtual moment, or None: real time.
    """

    token: str | None
    virtual_now: datetime | None


def prepare(settings: Settings, *, virtual_start: datetime | None) -> FirstStart:
    """Migrate, set the clock, make the admin token if there is none.

    Raises:
        DatabaseUnreachableError: PostgreSQL gave no answer.
        RealTimeError: a virtual clock was asked of an installation that has lived without.
        VirtualInProductionError: and production mode takes none.
    """
    if settings.mode == "production" and virtual_start is not None:
        raise VirtualInProductionError
    upgrade(settings.owner_url)
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        with database.writing() as session:
            moment = set_clock(session, virtual_start)
            token = ensure_admin_token(session, SystemClock().now())
    finally:
        database.dispose()
    return FirstStart(token=token, virtual_now=moment)
