"""What a database needs before the first service uses it: schema, clock, admin token.

Run by `mlreg up` in a process of its own, so that the supervisor stays small. Every step may be
repeated; a second run changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.installation import VirtualInProductionError, set_clock
from mlreg.cli.migrations import upgrade
from mlreg.client.new_files import new_file
from mlreg.registry.services.access import ensure_admin_token
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mlreg.cli.settings import Settings


def prepare(
    settings: Settings, *, virtual_start: datetime | None, token_file: Path
) -> datetime | None:
    """Migrate, set the clock, make the admin token if there is none; return the virtual moment.

    A token that this made is in `token_file` before the database has it, and is shown nowhere else:
    killed in between, the next call makes another; killed later, it is there to be found.

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
            if token is not None:
                with new_file(token_file) as file:
                    file.write(f"{token}\n".encode())
                failpoint("first_start.token_kept")
        failpoint("first_start.token_made")
    finally:
        database.dispose()
    return moment
