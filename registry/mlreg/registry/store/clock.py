"""The clocks of business time: the machine's, the database's, the virtual one (a row in there)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import select

from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.store.tables import Installation

if TYPE_CHECKING:
    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database, ReadSession


class NoVirtualClockError(InvalidError):
    """Virtual time was asked of an installation that lives in real time."""

    code = "no_virtual_clock"
    hint = "Start it with `mlreg up --virtual-clock` on an empty data folder."

    def __init__(self) -> None:
        super().__init__("this installation has no virtual clock")


class SystemClock:
    """Business time is the machine's own time."""

    def now(self) -> datetime:
        """Return the machine's time, aware and in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock that others are told to take


class DatabaseClock:
    """Business time is the database's own time: the same for every process, on every machine.

    What decides what is due, and when, goes by it: a machine whose clock jumps by a day neither
    misses nor anticipates anything.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        """Return the database's time, aware and in UTC."""
        with self._database.reading() as session:
            return database_now(session)


class VirtualClock:
    """Business time is the row `installation.virtual_now`; it moves only when it is advanced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        """Return the virtual moment.

        Raises:
            NoVirtualClockError: the installation was started without one.
        """
        with self._database.reading() as session:
            return virtual_now(session)


def virtual_now(session: ReadSession) -> datetime:
    """Return the virtual moment as this transaction sees it.

    Raises:
        NoVirtualClockError: the installation was started without one.
    """
    moment = session.exec(select(Installation.virtual_now)).one_or_none()
    if moment is None:
        raise NoVirtualClockError
    return moment


def database_now(session: ReadSession) -> datetime:
    """Return the database's own time, which no clock of a machine or of a test moves."""
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


def business_now(session: ReadSession, real: datetime | None = None) -> datetime:
    """Return business time as this transaction sees it: the virtual moment, else real time."""
    virtual = session.exec(select(Installation.virtual_now)).one_or_none()
    return virtual or real or SystemClock().now()


_PROOF: tuple[type[Clock], ...] = (SystemClock, DatabaseClock, VirtualClock)
