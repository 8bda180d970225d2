"""Alembic's entry: the metadata of every table, and the connection or URL that the caller gives."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool

import mlreg.controller.store.tables as _controller  # noqa: F401 - its tables join METADATA
from mlreg.registry.store.database import connection_url
from mlreg.registry.store.tables import METADATA


def compared(_object: object, name: str | None, kind: str, *_rest: object) -> bool:
    """Leave out what the metadata cannot express: the partitions of `waiting_batch`."""
    return not (kind == "table" and name is not None and name.startswith("waiting_batch_"))


def migrate() -> None:
    """Run the migrations on the caller's connection, or on the configured URL."""
    given = context.config.attributes.get("connection")
    if given is not None:
        context.configure(connection=given, target_metadata=METADATA, include_object=compared)
        with context.begin_transaction():
            context.run_migrations()
        return
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(connection_url(url), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA, include_object=compared)
        with context.begin_transaction():
            context.run_migrations()


migrate()
