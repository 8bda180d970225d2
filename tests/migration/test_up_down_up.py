import psycopg
from alembic import command
from sqlalchemy import create_engine, inspect

from mlreg.cli.migrations import alembic_config


def test_up_down_up(postgres):
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    config = alembic_config(postgres.url("migrated"))
    engine = create_engine(postgres.url("migrated"))
    command.upgrade(config, "head")
    there = set(inspect(engine).get_table_names())
    assert {"model", "version", "revision", "audit_entry", "job"} <= there
    command.check(config)
    command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    command.upgrade(config, "head")
    assert set(inspect(engine).get_table_names()) == there
    engine.dispose()
