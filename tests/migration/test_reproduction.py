"""0006 on a database with a history: arrows are drawn from the records, and go back and forth."""

import json

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from mlreg.cli.migrations import alembic_config

SNAPSHOT, FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "abc")
HISTORY = (
    (
        "INSERT INTO model (id, name, task, description, target_contract, last_version, created_at,"
        " created_by) VALUES (1, 'flights', 'binary', '', '{}', 2, now(), 'ada')"
    ),
    (
        "INSERT INTO manifest (digest, body, total_size, created_at)"
        " VALUES ('sha256:m', '{}', 1, now())"
    ),
    (
        "INSERT INTO version (model_id, number, manifest_digest, flavour, metrics, tags, missing,"
        " description, created_at, created_by)"
        " SELECT 1, n, 'sha256:m', 'lightgbm-text', '{}', '{}', '[]', '', now(), 'ada'"
        " FROM generate_series(1, 2) AS n"
    ),
    (
        'INSERT INTO snapshot (digest, model_id, body, start, "end", created_at, created_by)'
        " VALUES (:snapshot, 1, :body, now(), now(), now(), 'ada')"
    ),
    (
        "INSERT INTO run (id, model_id, environment, state, lane, trainer, cause, specification,"
        " snapshot, attempt, requested_by, created_at)"
        " VALUES (7, 1, 'production', 'succeeded', 'full', 'lightgbm', 'manual', '{}', :snapshot,"
        " 1, 'ada', now())"
    ),
    (
        "INSERT INTO decision (id, model_id, environment, challenger, verdict, superior, evidence,"
        " created_at, created_by)"
        " VALUES (3, 1, 'production', 2, 'accepted', false, '{}', now(), 'ada')"
    ),
    (
        "INSERT INTO deployment (id, model_id, environment, revision, champion, frozen, updated_at)"
        " VALUES (1, 1, 'production', 3, 2, false, now())"
    ),
    (
        "INSERT INTO revision (deployment_id, number, champion, candidates, frozen, cause, actor,"
        " reason, forced, decision_id, at) VALUES"
        " (1, 1, 1, '[]', false, 'promote', 'ada', '', false, NULL, now()),"
        " (1, 2, 1, '[]', true, 'freeze', 'ada', '', false, NULL, now()),"
        " (1, 3, 2, '[]', false, 'policy', 'ada', '', false, 3, now())"
    ),
    (
        "INSERT INTO lineage_edge (source_kind, source, target_kind, target, created_at) VALUES"
        " ('run', '7', 'version', 'flights/1', now()),"
        " ('version', 'flights/2', 'decision', '3', now())"
    ),
)
WANTED = {
    ("run", "7", "version", "flights/1"),
    ("version", "flights/2", "decision", "3"),
    ("segment", FIRST, "snapshot", SNAPSHOT),
    ("segment", SECOND, "snapshot", SNAPSHOT),
    ("snapshot", SNAPSHOT, "run", "7"),
    ("version", "flights/1", "revision", "flights:production/1"),
    ("version", "flights/2", "revision", "flights:production/3"),
    ("decision", "3", "revision", "flights:production/3"),
}


@pytest.fixture
def migrated(postgres):
    """A database at 0005 with a history."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE with_history")
    config = alembic_config(postgres.url("with_history"))
    command.upgrade(config, "0005")
    engine = create_engine(postgres.url("with_history"))
    body = json.dumps({"predictions": [FIRST], "labels": [SECOND]})
    with engine.begin() as connection:
        for statement in HISTORY:
            connection.execute(text(statement), {"snapshot": SNAPSHOT, "body": body})
    yield config, engine
    engine.dispose()
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE with_history WITH (FORCE)")


def arrows(engine):
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT source_kind, source, target_kind, target FROM lineage_edge")
        )
        return {tuple(row) for row in rows}


def test_the_past_has_its_arrows_after_the_upgrade(migrated):
    config, engine = migrated
    command.upgrade(config, "0006")
    assert arrows(engine) == WANTED
    with engine.connect() as connection:
        owners = connection.execute(text("SELECT DISTINCT model_id FROM lineage_edge")).scalars()
        assert list(owners) == [1]
    command.downgrade(config, "0005")
    command.upgrade(config, "0006")
    assert arrows(engine) == WANTED
