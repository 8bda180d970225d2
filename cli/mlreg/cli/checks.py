"""What `mlreg doctor` looks at: one line per thing, and what to do where it is not well."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import text

from mlreg.cli.executors import executor_settings_of
from mlreg.cli.installation import check_schema, clock_of
from mlreg.cli.server import store_of
from mlreg.controller.confinement import find_confinement
from mlreg.controller.executors.kinds import open_others
from mlreg.controller.executors.remote import RemoteExecutor
from mlreg.controller.services.members import list_controllers, list_workers
from mlreg.controller.services.stranding import count_stranded
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.store.clock import SystemClock, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlreg.cli.settings import Settings
    from mlreg.controller.services.members import MemberView
    from mlreg.registry.store.database import Database, ReadSession

OLDEST_POSTGRES = 150_000
MAX_SKEW_SECONDS = 2.0
LITTLE_SPACE_BYTES = 1_000_000_000
START = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: the thing.
        well: whether it is as it should be.
        text: what it is, or what is wrong with it.
    """

    name: str
    well: bool
    text: str


def examine(settings: Settings, database: Database, folder: Path | None) -> list[Finding]:
    """Look at everything; one that fails does not keep the others from being looked at."""
    questions: dict[str, Callable[[], Finding]] = {
        "mlreg": _program,
        "database": lambda: _database(database),
        "schema": lambda: _schema(database),
        "role": lambda: _role(database),
        "clock": lambda: _clock(database, settings),
        "artifacts": lambda: _artifacts(settings),
        "training": _training,
        "executors": lambda: _executors(settings),
        "controllers": lambda: _controllers(database),
        "workers": lambda: _workers(database),
    }
    if folder is not None:
        questions["space"] = lambda: _space(folder)
    return list(_answers(questions))


def _answers(questions: dict[str, Callable[[], Finding]]) -> Iterator[Finding]:
    for name, ask in questions.items():
        try:
            yield ask()
        except RegistryError as error:
            yield Finding(name, well=False, text=f"{error}. {error.hint}".strip())


def _program() -> Finding:
    system = f"{platform.system()} {platform.machine()}"
    text = f"mlreg {version('mlreg')}, Python {platform.python_version()}, {system}"
    return Finding("mlreg", well=sys.platform == "linux", text=text)


def _database(database: Database) -> Finding:
    with database.reading() as session:
        number = int(str(_one(session, "SHOW server_version_num")))
        name = _one(session, "SHOW server_version")
    well = number >= OLDEST_POSTGRES
    return Finding(
        "database", well=well, text=f"PostgreSQL {name}" + ("" if well else "; mlreg needs 15")
    )


def _schema(database: Database) -> Finding:
    check_schema(database)
    return Finding("schema", well=True, text="the newest")


def _role(database: Database) -> Finding:
    query = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    with database.reading() as session:
        role, powerful = _one(session, "SELECT current_user"), bool(_one(session, query))
        may = "SELECT has_table_privilege('audit_entry', 'UPDATE, DELETE')"
        rewrites = bool(_one(session, may))
    text = f"{role}, which can{'' if rewrites else 'not'} rewrite history"
    return Finding("role", well=not powerful and not rewrites, text=text)


def _clock(database: Database, settings: Settings) -> Finding:
    clock = clock_of(database, settings.mode)
    with database.reading() as session:
        seconds = float(str(_one(session, "SELECT extract(epoch FROM clock_timestamp())")))
    skew = abs(seconds - SystemClock().now().timestamp())
    kind = (
        f"virtual, at {clock.now():%Y-%m-%d %H:%M}" if isinstance(clock, VirtualClock) else "real"
    )
    well = skew <= MAX_SKEW_SECONDS
    return Finding("clock", well=well, text=f"{kind}; {skew:.1f} s from the database's")


def _artifacts(settings: Settings) -> Finding:
    found = store_of(settings).probe()
    able = {
        "refuses overwriting": found.create_only,
        "checks checksums": found.refuses_wrong_checksum,
        "reads ranges": found.range_reads,
    }
    words = ", ".join(
        f"{name}: {'yes' if yes else 'no (mlreg does)'}" for name, yes in able.items()
    )
    return Finding("artifacts", well=True, text=f"{found.kind} {found.where}; {words}")


def _training() -> Finding:
    """Say what the kernel lets trainings be confined to; that it does not is told, and no fault."""
    found = find_confinement()
    network = "without network" if found.network else "WITH network (the kernel permits no other)"
    writes = "its folder" if found.writes else "ALL that its user may (no Landlock)"
    return Finding("training", well=True, text=f"children run {network}; each writes in {writes}")


def _controllers(database: Database) -> Finding:
    """Say who leads; that nobody is started yet is no fault, that nobody leads is one."""
    with database.reading() as session:
        there = [one for one in list_controllers(session) if one.there]
    leader = next((one for one in there if one.leads), None)
    if leader is None:
        text = "none is there" if not there else f"{len(there)} there, and none leads"
        started = all(one.seen_at - one.since < START for one in there)
        return Finding("controllers", well=started, text=text)
    text = f"{leader.name} leads in epoch {leader.epoch}; standing by: {len(there) - 1}"
    return Finding("controllers", well=True, text=text + _of_versions(there))


def _workers(database: Database) -> Finding:
    with database.reading() as session:
        there = [one for one in list_workers(session) if one.there]
        lost = count_stranded(session, START.total_seconds())
    labels = ", ".join(sorted({label for one in there for label in one.labels}))
    text = f"{len(there)} there, labels: {labels or 'none'}" if there else "none is there"
    waits = f"; {lost} job{'s' if lost > 1 else ''} that nobody can take" if lost else ""
    return Finding("workers", well=not lost, text=text + waits + _of_versions(there))


def _of_versions(members: Sequence[MemberView]) -> str:
    """Say that processes of several versions are there: an upgrade is under way, or was left."""
    found = sorted({one.version for one in members} - {version("mlreg")})
    return f"; also of mlreg {', '.join(found)}" if found else ""


def _executors(settings: Settings) -> Finding:
    """Say where runs may train, and whether it answers; an error of one is told with its name."""
    others, well = open_others(executor_settings_of(settings)), True
    texts = ["local"]
    for name, executor in others.items():
        try:
            texts.append(executor.probe() if isinstance(executor, RemoteExecutor) else name)
        except RegistryError as error:
            texts.append(f"{name}: {error}")
            well = False
    return Finding("executors", well=well, text="; ".join(texts))


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    return Finding("space", well=free > LITTLE_SPACE_BYTES, text=f"{free / 1e9:.1f} GB free")


def _one(session: ReadSession, query: str) -> object:
    return session.connection().execute(text(query)).scalar_one()
