"""0025 on a database with looks at triggers: each becomes one record, and falls apart again."""

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from mlreg.cli.migrations import alembic_config

HISTORY = """
    INSERT INTO model (id, name, task, description, target_contract, last_version, created_at,
                       created_by)
    VALUES (1, 'flights', 'binary', '', '{}', 0, now(), 'ada');
    INSERT INTO policy (id, model_id, environment, number, source, body, created_at, created_by)
    VALUES (4, 1, 'production', 1, '', '{}', now(), 'ada'),
           (5, 1, 'production', 2, '', '{}', now(), 'ada');
    INSERT INTO trigger_record (policy_id, moment, trigger, holds, because, missing, readings)
    VALUES (4, '2026-06-01', 'schedule', true, 'it is 03:00', '', '[]'),
           (4, '2026-06-01', 'drift', false, 'no "psi" stood', '1 more', '[{"value": 0.25}]'),
           (4, '2026-06-02', 'drift', false, '', '', '[{"value": null}, {"value": 1e-7}]'),
           (5, '2026-06-02', 'drift:2', true, 'psi stood', '', '[]')
"""
ROWS = text("""
    SELECT policy_id, CAST(moment AS text), trigger, holds, because, missing, readings
    FROM trigger_record ORDER BY policy_id, moment, trigger
""")
RECORDS = text("""
    SELECT policy_id, CAST(CAST(moment AS date) AS text), found FROM trigger_record
    ORDER BY policy_id, moment
""")


@pytest.fixture
def migrated(postgres):
    """A database at 0023 with what was found at three looks."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE with_looks")
    config = alembic_config(postgres.url("with_looks"))
    command.upgrade(config, "0023")
    engine = create_engine(postgres.url("with_looks"))
    with engine.begin() as connection:
        connection.exec_driver_sql(HISTORY)
    yield config, engine
    engine.dispose()
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE with_looks WITH (FORCE)")


def rows(engine, query):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_what_was_found_is_kept_up_and_down(migrated):
    config, engine = migrated
    before = rows(engine, ROWS)
    command.upgrade(config, "0025")
    first, second, other = rows(engine, RECORDS)
    assert (first[:2], second[:2], other[:2]) == (
        (4, "2026-06-01"),
        (4, "2026-06-02"),
        (5, "2026-06-02"),
    )
    assert [one["trigger"] for one in first[2]] == ["drift", "schedule"]
    assert second[2] == [
        {
            "trigger": "drift",
            "holds": False,
            "because": "",
            "missing": "",
            "readings": [{"value": None}, {"value": 1e-7}],
        }
    ]
    command.downgrade(config, "0023")
    assert rows(engine, ROWS) == before
    command.upgrade(config, "0025")
    assert rows(engine, RECORDS) == [first, second, other]
