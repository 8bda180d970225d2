"""Where the server's socket lies: beside the data where that fits, else in a short folder.

The kernel takes at most 107 bytes for a socket's path, and libpq splits a host at commas.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.cli.postgres.errors import ServerNotStartedError

if TYPE_CHECKING:
    from mlreg.cli.postgres.account import Account

_MAX_BYTES = 107
_SOCKET = "/.s.PGSQL.5432.lock"
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")


def socket_folder(cluster: Path) -> Path:
    """Return the folder for the socket of the server in `cluster`; always the same one."""
    fits = len(os.fsencode(str(cluster) + _SOCKET)) <= _MAX_BYTES
    if fits and _PLAIN.fullmatch(str(cluster)):
        return cluster
    return _short_parent() / f"mlreg-{os.geteuid()}-{folder_name(cluster)}"


def folder_name(cluster: Path) -> str:
    """Return a short name that stands for a folder's path."""
    return hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]


def make_socket_folder(folder: Path, account: Account) -> None:
    """Make the folder for the account alone, and trust one that is there only if it is so.

    Raises:
        ServerNotStartedError: somebody else has put something in its place.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), account.uid}:
            cause = f"{folder} belongs to somebody else"
            raise ServerNotStartedError(cause=cause, log="none yet") from None
        folder.chmod(0o700)
    account.own(folder)


def _short_parent() -> Path:
    """Return `$XDG_RUNTIME_DIR` where a normal user has one, else `/tmp`."""
    given = Path(f"/run/user/{os.geteuid()}")
    return given if os.geteuid() != 0 and given.is_dir() else Path("/tmp")  # noqa: S108 - the folder in it is 0700 and its owner is checked
