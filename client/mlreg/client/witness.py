"""Being a witness of the audit log: the last signed checkpoint that each server showed.

What always holds: every change of a deployment answers with the server's newest checkpoint, and the
one of the most entries is kept, per server, in `$MLREG_CONFIG_DIR/witness/`, mode 0600. It is not
looked at then; `mlreg audit verify` holds it against the log. A witness that cannot be kept never
stands in the way of a change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING

from mlreg.client.credentials import credentials_file
from mlreg.client.new_files import new_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEADER = "mlreg-checkpoint"
MAX_BYTES = 16_384
_SIZE_LINE = 1


def keep_checkpoint(
    url: str,
    headers: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 - an edge
) -> None:
    """Keep the checkpoint of an answer, if it has one of more entries than the one that is held."""
    try:
        note = base64.b64decode(headers.get(HEADER, ""), validate=True).decode()
        if not note or len(note) > MAX_BYTES:
            return
        file = _file(url, environ)
        if size_of(note) <= size_of(_read(file)):
            return
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with new_file(file) as stream:
            stream.write(note.encode())
    except (OSError, binascii.Error, ValueError):
        return


def find_checkpoint(
    url: str,
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 - an edge
) -> str | None:
    """Return the checkpoint that is held against a server, as it was signed."""
    return _read(_file(url, environ)) or None


def size_of(note: str) -> int:
    """Return how many entries a checkpoint is of; -1 when it is none."""
    lines = note.splitlines()
    size = lines[_SIZE_LINE] if len(lines) > _SIZE_LINE else ""
    return int(size) if size.isascii() and size.isdigit() else -1


def _file(url: str, environ: Mapping[str, str]) -> Path:
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return credentials_file(environ).parent / "witness" / f"{name}.checkpoint"


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
