"""A downgrade that would forget a protection refuses, names what it protects, changes nothing."""

import psycopg
import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import create_engine, text

from mlreg.cli.migrations import alembic_config, revision_of
from mlreg.cli.schema import newest_schema
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import deployments, signing
from mlreg.registry.services.deployments import Change
from mlreg.registry.store.database import Database
from tests.makers import START, make_models


@pytest.fixture
def url(postgres):
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE protected")
    yield postgres.url("protected")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE protected WITH (FORCE)")


def protect(database):
    make_models(database)
    change = Change("flights", "production", SYSTEM, "as we agreed")
    with database.writing() as session:
        deployments.protect(session, change, approvals=2, now=START)


def require(database):
    make_models(database)
    with database.writing() as session:
        signing.require_signatures(session, "flights", required=True, actor=SYSTEM, now=START)


@pytest.mark.parametrize(
    ("make", "below", "said", "end"),
    [
        (protect, "0007", "flights in production", "UPDATE deployment SET approvals_required = 0"),
        (require, "0002", "flights", "UPDATE model SET requires_signature = false"),
    ],
)
def test_no_protection_is_forgotten_by_a_downgrade(url, make, below, said, end):
    config = alembic_config(url)
    command.upgrade(config, "head")
    database = Database(url)
    make(database)
    database.dispose()
    with pytest.raises(CommandError, match=f"would forget .*: {said};"):
        command.downgrade(config, below)
    assert revision_of(url) == newest_schema()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(end))
    engine.dispose()
    command.downgrade(config, below)
    assert revision_of(url) == below
