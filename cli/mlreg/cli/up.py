"""`mlreg up`: everything on one machine, from an empty folder to a served URL.

The top function reads as the start does: hold the folder, bind the port, start the API before a
gate (its imports take as long as a new database), start the database, make it ready if it is not,
open the gate, wait for `/readyz`, start the other roles, say so, watch. Whatever fails before that
ends what was started, and is one line.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from mlreg.cli import processes
from mlreg.cli.children import Child, last_line
from mlreg.cli.folder import DataFolder
from mlreg.cli.gate import Gate
from mlreg.cli.listening import listen, url_of
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import APP, DATABASE, OWNER, make_database, make_roles
from mlreg.cli.schema import newest_schema
from mlreg.cli.supervisor import Supervisor
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

READY_SECONDS = 60.0
ROLES = {"api": "serve", "control": "control", "worker": "work"}


class StartError(UnavailableError):
    """A process of mlreg ended before it was ready."""

    code = "start_failed"

    def __init__(self, *, name: str, cause: str, log: Path) -> None:
        super().__init__(f"{name} does not start: {cause or 'it says nothing'} (log: {log})")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for.

    Attributes:
        data: the data folder.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        virtual_start: the first moment of a virtual clock, ISO 8601; None is real time.
        environ: the environment that the roles inherit.
    """

    data: Path
    host: str
    port: int
    virtual_start: str | None
    environ: Mapping[str, str]


def run(wishes: Wishes, say: Callable[[str], None]) -> None:
    """Serve until somebody asks to stop.

    Raises:
        FolderInUseError, FolderUnusableError, PortInUseError, AddressError: before anything runs.
        UnavailableError: the database or a role does not start.
    """
    folder = DataFolder(wishes.data)
    folder.make()
    with ExitStack() as stack:
        stack.enter_context(folder.held())
        listening = stack.enter_context(listen(wishes.host, wishes.port))
        given = wishes.environ.get("MLREG_DATABASE_URL")
        server = None if given else _server(folder, wishes)
        environment = _environment(wishes, folder, server)
        gate = stack.enter_context(closing(Gate()))
        children = _children(folder, environment, listening, gate)
        supervisor = Supervisor(server, children, say)
        supervisor.take_charge()
        stack.callback(supervisor.stop)
        children[0].start()  # alone at first: the API is what everybody waits for
        if server is not None:
            server.start()
        _make_ready(folder, wishes, environment, server)
        gate.open()
        _await_ready(listening, supervisor)
        if not supervisor.stopping:
            supervisor.start()
            _greet(folder, url_of(listening), wishes, say)
        supervisor.run()
        say("stopping")


def _server(folder: DataFolder, wishes: Wishes) -> EmbeddedPostgres:
    """Return the embedded server; tests would rather be quick than survive a power cut."""
    unsafe = bool(wishes.environ.get("MLREG_UNSAFE_NO_SYNC"))
    settings = {"fsync": "off"} if unsafe else {}
    return EmbeddedPostgres(folder.cluster, settings=settings, sync=not unsafe)


def _environment(
    wishes: Wishes, folder: DataFolder, server: EmbeddedPostgres | None
) -> dict[str, str]:
    ours = {
        "MLREG_ARTIFACTS_URL": folder.artifacts_url,
        "MLREG_WORK_FOLDER": str(folder.work),
        "MLREG_CHECKPOINT_FOLDER": str(folder.checkpoints),
        "MLREG_HOST": wishes.host,
        "PYTHONUNBUFFERED": "1",
        **wishes.environ,
    }
    if server is not None:
        ours["MLREG_DATABASE_URL"] = server.url(DATABASE, APP)
        ours["MLREG_DATABASE_OWNER_URL"] = server.url(DATABASE, OWNER)
    return ours


def _children(
    folder: DataFolder, environment: dict[str, str], listening: socket.socket, gate: Gate
) -> list[Child]:
    found = []
    for name, command in ROLES.items():
        words = [sys.executable, "-m", "mlreg.cli", command]
        inherited = {"descriptor": listening.fileno(), "gate": gate.descriptor}
        passed = inherited if name == "api" else {}
        words += [f"--{option}={number}" for option, number in passed.items()]
        log = folder.logs / f"{name}.log"
        found.append(Child(name, words, environment, log, list(passed.values())))
    return found


def _make_ready(
    folder: DataFolder,
    wishes: Wishes,
    environment: dict[str, str],
    server: EmbeddedPostgres | None,
) -> None:
    """Bring schema, clock and token in order, unless a former start did and nothing changed."""
    if server is not None:
        if _schema_of(server) == newest_schema() and folder.find_token() and not _virtual(wishes):
            return
        make_roles(server)
        make_database(server, DATABASE)
    _prepare(folder, environment, wishes.virtual_start or "")
    folder.adopt_token()


def _virtual(wishes: Wishes) -> bool:
    return wishes.virtual_start is not None


def _schema_of(server: EmbeddedPostgres) -> str | None:
    try:
        with psycopg.connect(server.url(DATABASE, APP).replace("+psycopg", "")) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.Error:
        return None  # no database, or none of ours yet
    return None if row is None else str(row[0])


def _prepare(folder: DataFolder, environment: dict[str, str], virtual_start: str) -> None:
    """Run `mlreg db prepare` to its end; the token, if it made one, is then the folder's draft."""
    log = folder.logs / "prepare.log"
    words = [sys.executable, "-m", "mlreg.cli", "db", "prepare", str(folder.token_draft)]
    words += [f"--virtual-start={virtual_start}"] if virtual_start else []
    with log.open("wb") as stream:
        done = subprocess.run(
            words,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            check=False,
            preexec_fn=processes.bound_to_parent(signal.SIGKILL),
        )
    if done.returncode != 0:
        raise StartError(name="the database's first start", cause=last_line(log), log=log)


def _await_ready(listening: socket.socket, supervisor: Supervisor) -> None:
    """Wait until the API says it is ready; if it ends before that, so does the start."""
    host, port = listening.getsockname()[:2]
    api = supervisor.children[0]
    deadline = time.monotonic() + READY_SECONDS
    while not supervisor.stopping and not _is_ready(host, port):
        if not api.is_running():
            raise StartError(name=api.name, cause=api.last_line(), log=api.log)
        if time.monotonic() > deadline:
            raise StartError(name=api.name, cause="it is not ready after a minute", log=api.log)
        time.sleep(0.02)


def _is_ready(host: str, port: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    connection = http.client.HTTPConnection(reachable, port, timeout=2)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _greet(folder: DataFolder, url: str, wishes: Wishes, say: Callable[[str], None]) -> None:
    from mlreg.client.credentials import Credentials, save_credentials

    folder.url_file.write_text(url + "\n")
    say(f"mlreg serves {url} from {folder.path}")
    if _virtual(wishes):
        say("virtual clock: time moves only by `mlreg clock advance`")
    token = folder.find_token()
    if token is None:
        say("the admin token is not on this machine: `mlreg token reset-admin` makes another")
        return
    where = save_credentials(Credentials(url, token), wishes.environ)
    say(f"this user's command line is logged in as admin ({where})")
    say("next: `mlreg status`, `mlreg model create`, or the tutorial in docs/. Ctrl-C stops.")


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return dict(os.environ)  # noqa: TID251 - an edge
