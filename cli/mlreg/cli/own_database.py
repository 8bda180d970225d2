"""The database of a data folder, for commands that work on it without the API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlreg.cli.folder import DataFolder, FolderInUseError
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import APP, DATABASE
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services.access import renew_admin_token
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class NoInstallationError(NotFoundError):
    """The data folder is empty, and no database is named."""

    code = "no_installation"
    hint = "Name the folder of `mlreg up` with --data, or set MLREG_DATABASE_URL."

    def __init__(self, *, folder: DataFolder) -> None:
        super().__init__(f"there is no mlreg in {folder.path}")


def reset_admin_token(folder: DataFolder, environ: Mapping[str, str]) -> str:
    """Make a new admin token, end the former ones, keep it in the folder; return its text.

    Raises:
        NoInstallationError: there is nothing to have a token of.
        DatabaseUnreachableError: PostgreSQL gave no answer.
    """
    with own_database(folder, environ) as database, database.writing() as session:
        token = renew_admin_token(session, SystemClock().now())
    if folder.path.is_dir():
        folder.keep_token(token)
    return token


@contextmanager
def own_database(folder: DataFolder, environ: Mapping[str, str]) -> Iterator[Database]:
    """Open MLREG_DATABASE_URL, else the folder's database; its server runs meanwhile.

    Raises:
        NoInstallationError: neither is there.
    """
    with _served(folder, environ) as url:
        database = Database(url, pool_size=1)
        try:
            yield database
        finally:
            database.dispose()


@contextmanager
def _served(folder: DataFolder, environ: Mapping[str, str]) -> Iterator[str]:
    given = environ.get("MLREG_DATABASE_URL")
    if given:
        yield given
        return
    if not (folder.cluster / "PG_VERSION").exists():
        raise NoInstallationError(folder=folder)
    server = EmbeddedPostgres(folder.cluster)
    try:
        with folder.held():
            server.start()
            try:
                yield server.url(DATABASE, APP)
            finally:
                server.stop()
    except FolderInUseError:  # `mlreg up` runs, and its server with it
        yield server.url(DATABASE, APP)
