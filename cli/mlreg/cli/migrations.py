"""The database's schema: where its migrations are, and bringing a database to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config

from alembic import command
from mlreg.registry.store.database import connection_url

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrations_folder() -> Path:
    """Return the folder of `env.py`: inside the wheel, else at the top of the checkout."""
    here = Path(__file__).resolve()
    packaged = here.parent.parent / "migrations"
    return packaged if packaged.is_dir() else here.parents[3] / "alembic"


def alembic_config(url: str = "", connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for one database, without any file of its own."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(migrations_folder() / "versions"))
    config.set_main_option("sqlalchemy.url", connection_url(url).replace("%", "%%") if url else "")
    config.attributes["connection"] = connection
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` (as its owner) to `revision`."""
    command.upgrade(alembic_config(url), revision)
