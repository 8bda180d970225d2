"""Which controller leads: a row with a holder, a time to live and an epoch that counts up.

What always holds: at most one holder at a time by the database's own clock; a new holder has a
higher epoch. Every transaction of a tick asks first whether its epoch still leads (`Reign.check`):
a controller that was paused or cut off writes nothing once another one has taken over. Asking locks
nothing: a leader that stops in the middle must not keep the others from taking over. What may slip
in between the question and the commit is on rows that this very transaction has locked, and so is
done as if it had been in time. Beyond that no tick rests on the lease: two at once are harmless
(fault 14). See ADR 0036.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from typing_extensions import override

from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services.outbox import tell

if TYPE_CHECKING:
    import threading

    from mlreg.registry.store.database import Database, ReadSession

TTL_SECONDS = 10.0
RENEWALS_PER_TTL = 3

_TAKE = text("""
    UPDATE leader
    SET epoch = CASE WHEN holder = :holder AND until >= clock_timestamp() THEN epoch
                     ELSE epoch + 1 END,
        holder = :holder,
        until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = 1 AND (holder = :holder OR until < clock_timestamp())
    RETURNING epoch
""")
_GIVE_BACK = text("""
    UPDATE leader SET until = clock_timestamp() WHERE id = 1 AND holder = :holder
""")
_LED = text("""
    SELECT 1 FROM leader
    WHERE id = 1 AND holder = :holder AND epoch = :epoch AND until >= clock_timestamp()
""")
_TICKED = text("""
    WITH before AS (SELECT ticked_at, alarmed_at FROM leader WHERE id = 1 FOR UPDATE)
    UPDATE leader SET ticked_at = clock_timestamp(), alarmed_at = NULL, alarm_until = NULL
    FROM before WHERE leader.id = 1
    RETURNING before.ticked_at AS since, before.alarmed_at, leader.ticked_at AS now
""")


class LeadershipLostError(RefusedError):
    """Another controller leads, or this one was asked to stop: the rest of the tick is not done."""

    code = "leadership_lost"

    def __init__(self, *, holder: str, epoch: int) -> None:
        super().__init__(f"{holder} no longer leads in epoch {epoch}")


@dataclass(frozen=True, slots=True)
class Leadership:
    """The right to tick, until it runs out."""

    holder: str
    epoch: int


class Fence:
    """Refuses what would be written under a leadership that ended; whose it is renews it."""

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership

    def keep(self) -> None:
        """Do what is to be done between two transactions: nothing."""

    def check(self, session: ReadSession) -> None:
        """Refuse what this transaction is about to write, unless the epoch still leads.

        Raises:
            LeadershipLostError: it does not; the transaction must not commit.
        """
        if not leads(session, self.leadership):
            raise self._lost()

    def _lost(self) -> LeadershipLostError:
        return LeadershipLostError(holder=self.leadership.holder, epoch=self.leadership.epoch)


class Reign(Fence):
    """One controller's leadership during one tick: renewed while it lasts, checked at each step."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        ttl_seconds: float = TTL_SECONDS,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(leadership)
        self._database = database
        self._ttl_seconds = ttl_seconds
        self._stop = stop
        self._taken = time.monotonic()

    @override
    def keep(self) -> None:
        """Renew the lease where a third of it has gone by; call it between transactions.

        Raises:
            LeadershipLostError: this controller leads no longer, or is asked to stop.
        """
        if self._stop is not None and self._stop.is_set():
            raise self._lost()
        if time.monotonic() - self._taken < self._ttl_seconds / RENEWALS_PER_TTL:
            return
        holder = self.leadership.holder
        if take_leadership(self._database, holder, ttl_seconds=self._ttl_seconds) != (
            self.leadership
        ):
            raise self._lost()
        self._taken = time.monotonic()


def take_leadership(
    database: Database, holder: str, *, ttl_seconds: float = TTL_SECONDS
) -> Leadership | None:
    """Become or stay the leader; None while another one is."""
    with database.writing() as session:
        values = {"holder": holder, "seconds": ttl_seconds}
        epoch = session.execute(_TAKE, values).scalar_one_or_none()
    return None if epoch is None else Leadership(holder, epoch)


def leads(session: ReadSession, leadership: Leadership) -> bool:
    """Say whether this leadership holds at this moment; locks nothing."""
    values = {"holder": leadership.holder, "epoch": leadership.epoch}
    return session.execute(_LED, values).first() is not None


def give_back(database: Database, holder: str) -> None:
    """End the leadership at once, so that a standby need not wait for its time to run out."""
    with database.writing() as session:
        session.execute(_GIVE_BACK, {"holder": holder})


def note_tick(database: Database) -> None:
    """Write down that a tick was done, for whoever watches that the controller is not silent.

    Whoever was told that it is, is told that it is back.
    """
    with database.writing() as session:
        row = session.execute(_TICKED).one_or_none()
        if row is not None and row.alarmed_at is not None:
            body = {"model": None, "since": row.since.isoformat(), "actor": "controller"}
            tell(session, "controller.back", body, now=row.now)
