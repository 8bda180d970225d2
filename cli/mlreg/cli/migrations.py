"""The database's schema: where its migrations are, and bringing a database to the newest.

The owner's role migrates; the service's role is then given what it needs: it may add to history
(`audit_entry`, `revision`) and read it, never change it, and owns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, pool, text
from sqlalchemy.exc import OperationalError

from mlreg.cli.schema import migrations_folder
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.store.database import connection_url

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

APP_ROLE = "mlreg_app"
_APPEND_ONLY = "audit_entry, revision, checkpoint, card_note, attestation"
_GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    f"REVOKE UPDATE, DELETE ON {_APPEND_ONLY} FROM {{role}}",
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
)


def alembic_config(url: str = "", connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for one database, without any file of its own."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("sqlalchemy.url", connection_url(url).replace("%", "%%") if url else "")
    config.attributes["connection"] = connection
    return config


def revision_of(url: str) -> str | None:
    """Return the revision that the database at `url` is at, or None for an empty one.

    Raises:
        DatabaseUnreachableError: it gave no answer.
    """
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str, revision: str = "head", *, app_role: str = APP_ROLE) -> None:
    """Bring the database at `url` (as its owner) to `revision`; let `app_role` use it.

    A role that the server does not have is passed over: then the owner's is the service's.

    Raises:
        DatabaseUnreachableError: it gave no answer.
    """
    with _connected(url) as connection:
        command.upgrade(alembic_config(connection=connection), revision)
        connection.commit()
        grant(connection, app_role)
        connection.commit()


def grant(connection: Connection, role: str) -> None:
    """Give the service's role what it needs and take what it must not have."""
    there = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    owner = connection.execute(text("SELECT current_user")).scalar_one()
    if there.first() is None or role == owner:
        return
    quoted = connection.dialect.identifier_preparer.quote(role)
    slots = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:t)"),
        {"t": "waiting_batch"},
    ).scalars()
    for statement in (*_GRANTS, *(f"GRANT TRUNCATE ON {slot} TO {{role}}" for slot in slots)):
        connection.execute(text(statement.format(role=quoted)))


def _connected(url: str) -> Connection:
    engine: Engine = create_engine(connection_url(url), poolclass=pool.NullPool)
    try:
        return engine.connect()
    except OperationalError as error:
        cause = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnreachableError(cause=cause) from error
