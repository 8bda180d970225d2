"""A PostgreSQL that is not the embedded one: TCP, passwords, the machine's own build if any."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from mlreg.cli.postgres.account import server_account
from mlreg.cli.postgres.cluster import binaries, identity
from tests.servers.ports import free_port

PASSWORD = "a-password: with/odd@signs"
START_SECONDS = 120


class ForeignPostgres:
    """A server as a platform team runs it: roles with passwords, reached over TCP."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlreg-foreign-"))
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self._account = server_account(self.folder)

    def start(self) -> None:
        """Initialise, start, and make the roles and the database as `deploy/` does."""
        self._account.own(self.folder)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._account.own(password)
        data = str(self.folder / "data")
        initialise = [program("initdb"), "-D", data, "-U", "postgres", "--no-sync", "-E", "UTF8"]
        initialise += ["--auth=scram-sha-256", f"--pwfile={password}", "--locale=C"]
        subprocess.run(
            initialise, check=True, stdout=subprocess.DEVNULL, cwd="/", **identity(self._account)
        )
        serve = [program("postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(self.port)]
        serve += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            serve, stderr=subprocess.DEVNULL, cwd="/", **identity(self._account)
        )
        self._await_answer()
        with self._connect() as connection:
            connection.execute(f"CREATE ROLE mlreg_owner LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE ROLE mlreg_app LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE mlreg OWNER mlreg_owner")

    def url(self, user: str) -> str:
        """Return the URL of the database for a role, in the plain spelling."""
        quoted = PASSWORD.replace("@", "%40").replace("/", "%2F").replace(":", "%3A")
        return f"postgresql://{user}:{quoted.replace(' ', '%20')}@127.0.0.1:{self.port}/mlreg"

    def empty(self) -> None:
        """Make the database anew."""
        with self._connect() as connection:
            connection.execute("DROP DATABASE mlreg WITH (FORCE)")
            connection.execute("CREATE DATABASE mlreg OWNER mlreg_owner")

    def stop(self) -> None:
        """Stop it at once and remove its folder."""
        if self.process is not None:
            self.process.send_signal(3)
            self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=PASSWORD, autocommit=True
        )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "the foreign server gives no answer"
                time.sleep(0.05)
            else:
                return


def program(name: str) -> str:
    """Return a program of the machine's own PostgreSQL, else of the wheel's."""
    own = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(own[-1] if own else binaries() / name)
