"""The roles and the database of an embedded server: owner for migrations, app for the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from mlreg.cli.postgres.server import EmbeddedPostgres

OWNER = "mlreg_owner"
APP = "mlreg_app"
DATABASE = "mlreg"


def make_roles(server: EmbeddedPostgres) -> None:
    """Create the two roles where they are missing; neither is a superuser."""
    with _connect(server) as connection:
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in {OWNER, APP} - there:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))


def make_database(server: EmbeddedPostgres, name: str) -> bool:
    """Create the owner's database if it is missing, and say whether it was."""
    with _connect(server) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, (name,)).fetchone():
            return False
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(OWNER)
            )
        )
    return True


def _connect(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(
        f"host={server.socket_folder} user=postgres dbname=postgres", autocommit=True
    )
