"""What a role checks before it serves: that schema and code fit, and which time it lives in."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from mlreg.cli.schema import newest_schema
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.store.clock import SystemClock, VirtualClock
from mlreg.registry.store.tables import Installation, Model

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database, WriteSession


class SchemaError(RefusedError):
    """The database's schema is not the one that this mlreg was made for."""

    code = "schema_mismatch"
    hint = "Run `mlreg db upgrade` with the newest mlreg, then start this again."

    def __init__(self, *, found: str | None, wanted: str) -> None:
        super().__init__(f"the database has schema {found or 'none'}, this mlreg needs {wanted}")


class RealTimeError(RefusedError):
    """A database that has lived in real time was asked to go virtual."""

    code = "lives_in_real_time"
    hint = "Start `mlreg up --virtual-clock` on an empty data folder."

    def __init__(self) -> None:
        super().__init__("this installation has models and lives in real time")


class VirtualInProductionError(RefusedError):
    """Production mode met a virtual clock."""

    code = "virtual_clock_in_production"
    hint = "Use a database of its own for demo and tests, or unset MLREG_MODE."

    def __init__(self) -> None:
        super().__init__("MLREG_MODE=production refuses a virtual clock")


def check_schema(database: Database) -> None:
    """Compare schema and code.

    Raises:
        SchemaError: they differ.
        DatabaseUnreachableError: PostgreSQL gave no answer.
    """
    found = None
    try:
        with database.reading() as session:
            query = text("SELECT version_num FROM alembic_version")
            found = session.connection().execute(query).scalar()
    except ProgrammingError:
        found = None  # no such table: an empty database
    if found != newest_schema():
        raise SchemaError(found=found, wanted=newest_schema())


def clock_of(database: Database, mode: str) -> Clock:
    """Return the clock of this installation.

    Raises:
        VirtualInProductionError: it is virtual, and the mode is production.
    """
    with database.reading() as session:
        moment = session.exec(select(Installation.virtual_now)).one()
    if moment is None:
        return SystemClock()
    if mode == "production":
        raise VirtualInProductionError
    return VirtualClock(database)


def set_clock(session: WriteSession, start: datetime | None) -> datetime | None:
    """Make a new installation virtual from `start` on; return its virtual moment, or None.

    Raises:
        RealTimeError: it has lived in real time.
    """
    installation = session.exec(select(Installation).with_for_update()).one()
    if start is None or installation.virtual_now is not None:
        return installation.virtual_now
    if session.exec(select(Model.id).limit(1)).first() is not None:
        raise RealTimeError
    installation.virtual_now = start.astimezone(UTC)
    installation.ever_virtual = True
    session.add(installation)
    return installation.virtual_now
