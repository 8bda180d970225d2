"""What this machine remembers of its uploads, so that another process can go on with them.

One small file per (server, file as it is now: its place, size and time); a changed file is another.
What is remembered is only ever a hint: every digest is computed again.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mlreg.client.new_files import new_file

if TYPE_CHECKING:
    from pathlib import Path

KEPT_SECONDS = 7 * 24 * 3600


class UploadNotes:
    """The notes about one server's uploads; where they cannot be written there are none."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    def find_upload(self, file: Path) -> str | None:
        """Return the upload that was begun with this file."""
        return self._read(file).get("upload")

    def find_digest(self, file: Path) -> str | None:
        """Return the digest that this file had when it was uploaded."""
        return self._read(file).get("digest")

    def keep_upload(self, file: Path, upload: str) -> None:
        """Note the upload that was begun with this file."""
        self._write(file, {"upload": upload})

    def keep_digest(self, file: Path, digest: str) -> None:
        """Note that the file is uploaded."""
        self._write(file, {"digest": digest})

    def _read(self, file: Path) -> dict[str, str]:
        try:
            noted = json.loads(self._place(file).read_bytes())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _write(self, file: Path, note: dict[str, str]) -> None:
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in self._folder.glob("*.json"):
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    old.unlink(missing_ok=True)
            with new_file(self._place(file)) as stream:
                stream.write(json.dumps(note).encode())

    def _place(self, file: Path) -> Path:
        stat = file.stat()
        state = [self._url, str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino]
        return self._folder / (hashlib.sha256(json.dumps(state).encode()).hexdigest() + ".json")
