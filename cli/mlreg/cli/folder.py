"""The data folder of `mlreg up`: one running mlreg at a time, everything of it in one place.

```
DATA/
    lock            held while an mlreg runs here; names its process
    postgres/       the embedded server's own folder, 0700
    artifacts/      blobs by digest
    work/           files of runs, while they run
    logs/           one file per process
    checkpoints/    signed checkpoints of the audit log, and the key that signs them
    admin-token     0600: the token of the first start
    admin-token.new the same, for as long as it is being made
    url             where it serves, or served last
```
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.new_files import new_file
from mlreg.registry.domain.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = Path("mlreg-data")


class FolderInUseError(RefusedError):
    """Another mlreg runs on this data folder."""

    code = "folder_in_use"
    hint = "Stop it, or give this one a folder of its own with --data."

    def __init__(self, *, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is in use by the mlreg of process {holder}")


class FolderUnusableError(UnavailableError):
    """The data folder cannot be made or written."""

    code = "folder_unusable"

    def __init__(self, *, folder: Path, cause: str) -> None:
        super().__init__(f"{folder} cannot be used as the data folder: {cause}")


class DataFolder:
    """The paths in one data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.cluster = self.path / "postgres"
        self.artifacts = self.path / "artifacts"
        self.work = self.path / "work"
        self.logs = self.path / "logs"
        self.checkpoints = self.path / "checkpoints"
        self.token_file = self.path / "admin-token"
        self.token_draft = self.path / "admin-token.new"
        self.url_file = self.path / "url"

    @property
    def artifacts_url(self) -> str:
        """The artifacts folder as a URL."""
        return self.artifacts.as_uri()

    def make(self) -> None:
        """Make what is missing, for this user alone.

        Raises:
            FolderUnusableError: the file system says no.
        """
        try:
            for folder in (self.path, self.artifacts, self.work, self.logs):
                folder.mkdir(mode=0o700, parents=folder == self.path, exist_ok=True)
        except OSError as error:
            raise FolderUnusableError(folder=self.path, cause=error.strerror or "no") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process; the kernel lets go when the process ends.

        Raises:
            FolderInUseError: another process holds it.
            FolderUnusableError: the lock file cannot be opened.
        """
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnusableError(folder=self.path, cause=error.strerror or "no") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 20).decode().strip() or "unknown"
            os.close(handle)
            raise FolderInUseError(folder=self.path, holder=holder) from error
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.close(handle)

    def keep_token(self, token: str) -> None:
        """Store the admin token, readable by this user alone; the file is replaced as a whole."""
        with new_file(self.token_file) as file:
            file.write(f"{token}\n".encode())

    def adopt_token(self) -> None:
        """Keep the admin token as made, if one was: by this start, or by one that was killed then.

        The draft is written before the database has its token. If the database never got it, the
        next start makes another token, and writes it over the draft, before it comes here.
        """
        if self.token_draft.exists():
            self.token_draft.replace(self.token_file)

    def find_token(self) -> str | None:
        """Return the stored admin token, or None."""
        return _find_line(self.token_file)

    def find_url(self) -> str | None:
        """Return where it serves, or served last; None before the first start."""
        return _find_line(self.url_file)


def _find_line(file: Path) -> str | None:
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None
