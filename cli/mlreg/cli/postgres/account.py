"""The user that the server runs as: the caller, or a user of its own where the caller is root.

PostgreSQL refuses to run as root. What is opened for the other user is the right to pass through a
folder (`o+x`), never to list or read it, and only where it is missing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.cli.postgres.errors import ServerAccountError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "mlreg-postgres"
_CREATION = (
    ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", NAME),
    ("adduser", "-S", "-D", "-H", "-s", "/bin/false", NAME),
)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine.

    Attributes:
        name: as in the machine's user list; `peer` compares it.
        uid: its number.
        gid: its first group's number.
        is_caller: whether it is the user that runs this very process.
    """

    name: str
    uid: int
    gid: int
    is_caller: bool

    def own(self, path: Path) -> None:
        """Make a file or folder this account's."""
        if not self.is_caller:
            os.chown(path, self.uid, self.gid)

    def open_way_to(self, path: Path) -> None:
        """Let the account pass through every folder above `path` that stops it now."""
        if self.is_caller:
            return
        for folder in path.resolve().parents:
            mode = folder.stat()
            if not _may_pass(self, mode):
                folder.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)


def caller() -> Account:
    """Return the user that runs this process.

    Raises:
        ServerAccountError: its number has no name (as in some containers).
    """
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise ServerAccountError(cause=f"user {os.geteuid()} has no name here") from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, is_caller=True)


def server_account(cluster: Path) -> Account:
    """Return the user for the server of one folder: whoever owns the folder already, if anyone.

    Raises:
        ServerAccountError: root has no other user to turn to, and none could be made.
    """
    if os.geteuid() != 0:
        return caller()
    if cluster.is_dir() and cluster.stat().st_uid != 0:
        entry = pwd.getpwuid(cluster.stat().st_uid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, is_caller=False)
    entry = _find() or _create()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, is_caller=False)


def _may_pass(account: Account, mode: os.stat_result) -> bool:
    if mode.st_uid == account.uid:
        return bool(mode.st_mode & stat.S_IXUSR)
    if mode.st_gid == account.gid:
        return bool(mode.st_mode & stat.S_IXGRP)
    return bool(mode.st_mode & stat.S_IXOTH)


def _find() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd:
    said = "neither useradd nor adduser is here"
    for command in _CREATION:
        program = shutil.which(command[0])
        if program is None:
            continue
        for _ in range(20):  # two first starts at once: one of them waits for the other's lock
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True, check=False
            )
            entry = _find()
            if entry is not None:
                return entry
            said = done.stderr.strip() or f"{command[0]} said nothing"
            time.sleep(0.1)
    raise ServerAccountError(cause=said)
