"""One PostgreSQL server in one folder: started, asked, watched and stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psycopg

from mlreg.cli import processes
from mlreg.cli.postgres import cluster as clusters
from mlreg.cli.postgres.account import Account, server_account
from mlreg.cli.postgres.errors import ServerNotStartedError
from mlreg.cli.postgres.leftovers import clear_leftovers
from mlreg.cli.postgres.sockets import folder_name, make_socket_folder, socket_folder

START_SECONDS = 60.0
_STOP_SECONDS = {signal.SIGINT: 20.0, signal.SIGQUIT: 5.0, signal.SIGKILL: 5.0}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """The server of one folder.

    Args:
        cluster: the folder, made at the first start.
        settings: server settings beyond ours, by name.
        sync: whether `initdb` waits for the disk; only tests say no.
    """

    def __init__(
        self, cluster: Path, *, settings: dict[str, str] | None = None, sync: bool = True
    ) -> None:
        self.cluster = cluster.resolve()
        self.log = self.cluster.with_name(self.cluster.name + ".log")
        self.socket_folder = socket_folder(self.cluster)
        self._name = f"mlreg-{folder_name(self.cluster)}"
        self._settings = {**_SETTINGS, "cluster_name": self._name, **(settings or {})}
        self._sync = sync
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, while it is our child."""
        return None if self._process is None else self._process.pid

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database on this server, for one of its roles."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.socket_folder}"

    def start(self) -> None:
        """Make the folder at the first start, run the server, return once it answers.

        To be called by the holder of the data folder's lock, on a thread that outlives the server.

        Raises:
            ServerNotStartedError: it ended, or gave no answer within a minute.
            ServerAccountError: nobody may run it here.
        """
        account = server_account(self.cluster)
        clusters.make_cluster(self.cluster, account, sync=self._sync)
        clusters.write_access(self.cluster, account)
        account.open_way_to(self.cluster)
        if self.socket_folder != self.cluster:
            make_socket_folder(self.socket_folder, account)
        self.kill()
        self._process = self._spawn(account)
        try:
            self._await_answer()
        except ServerNotStartedError:
            self.kill()
            raise

    def is_running(self) -> bool:
        """Say whether our postmaster lives; it may still be deaf."""
        return self._process is not None and self._process.poll() is None

    def answers(self, *, seconds: int = 3) -> bool:
        """Say whether the server answers `SELECT 1`."""
        try:
            with psycopg.connect(
                f"host={self.socket_folder} user=postgres dbname=postgres",
                connect_timeout=seconds,
                options=f"-c statement_timeout={seconds * 1000}",
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def stop(self) -> None:
        """Stop the server: politely, then at once, then by force; return when it is gone."""
        if self._process is None:
            return
        for step, seconds in _STOP_SECONDS.items():
            if self._process.poll() is None:
                self._process.send_signal(step)
            try:
                self._process.wait(timeout=seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None
        self._clear()

    def kill(self) -> None:
        """End the server and its backends by force; the next start recovers from its log."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._clear()

    def _clear(self) -> None:
        clear_leftovers(self.cluster, self.socket_folder, self._name)

    def last_words(self) -> str:
        """Return the last line of the server's log that tells of a failure."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-50:]
        except OSError:
            return "it said nothing"
        telling = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return (telling or lines or ["it said nothing"])[-1]

    def _spawn(self, account: Account) -> subprocess.Popen[bytes]:
        command = [str(clusters.binaries() / "postgres"), "-D", str(self.cluster)]
        command += ["-k", str(self.socket_folder)]
        command += [f"-c{key}={value}" for key, value in self._settings.items()]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clusters.ENVIRONMENT,
                start_new_session=True,
                preexec_fn=processes.bound_to_parent(signal.SIGINT),  # noqa: PLW1509 - one prctl
                **clusters.identity(account),
            )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.is_running():
            if self.answers():
                return
            if time.monotonic() > deadline:
                raise ServerNotStartedError(cause="it gives no answer", log=self.log)
            time.sleep(0.02)
        raise ServerNotStartedError(cause=self.last_words(), log=self.log)
