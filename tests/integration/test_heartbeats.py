"""The thread that keeps leases alive outlives whatever the database says to it."""

import psycopg
from sqlalchemy import make_url, text

from mlreg.controller.services import claims
from mlreg.controller.services.heartbeats import Heartbeats
from tests.faults.workers import await_true, end_connections, enqueue

LEASE_SECONDS = 0.6


def set_read_only(postgres, database, *, on):
    """Let the database be as after a failover to a server that takes no writes yet, or end it."""
    name = make_url(database.url).database
    url = postgres.url().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        setting = f"SET default_transaction_read_only = {'on' if on else 'off'}"
        connection.execute(f'ALTER DATABASE "{name}" {setting}')
    end_connections(postgres, database.url)
    database.dispose()


def lease_until(database):
    with database.reading() as session:
        return session.execute(text("SELECT lease_until FROM job")).scalar_one()


def test_it_goes_on_once_a_database_takes_writes_again(database, postgres, caplog):
    enqueue(database, "count")
    lease = claims.claim(database, "tester", ["count"], LEASE_SECONDS)
    with Heartbeats(database, LEASE_SECONDS) as heartbeats, heartbeats.holding(lease) as halt:
        set_read_only(postgres, database, on=True)
        await_true(lambda: "read-only transaction" in caplog.text)
        set_read_only(postgres, database, on=False)
        before = lease_until(database)
        await_true(lambda: lease_until(database) > before)
        assert not halt.is_set()
