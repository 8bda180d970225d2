import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from mlreg.cli.migrations import alembic_config
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services.access import issue_token
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from tests.makers import make_model


@pytest.fixture
def url(postgres):
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE with_tokens")
    yield postgres.url("with_tokens")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE with_tokens WITH (FORCE)")


def test_no_token_becomes_wider_by_a_downgrade(url):
    config, now = alembic_config(url), SystemClock().now()
    command.upgrade(config, "head")
    database = Database(url)
    with database.writing() as session:
        make_model(session)
        for name, models in (("wide", None), ("narrow", ["flights"])):
            issue_token(
                session, name, kind="service", role="ci", models=models, actor=SYSTEM, now=now
            )
    database.dispose()
    command.downgrade(config, "0006")
    command.upgrade(config, "head")
    engine = create_engine(url)
    with engine.connect() as connection:
        living = connection.execute(text("SELECT name FROM token WHERE revoked_at IS NULL"))
        assert list(living.scalars()) == ["wide"]
    engine.dispose()
