"""Where a client finds its server and token: the environment, else a file that only its user reads.

The file is `$MLREG_CONFIG_DIR/credentials.json`, by default `~/.config/mlreg/credentials.json`,
mode 0600: `{"current": URL, "tokens": {URL: token}}`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError
from mlreg.client.new_files import new_file

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A server and the token to it; the token is not shown by repr."""

    url: str
    token: str = field(repr=False)


def find_credentials(environ: Mapping[str, str] = os.environ) -> Credentials | None:  # noqa: TID251 - an edge
    """Return the credentials that count here, or None.

    Raises:
        InvalidError: the credentials file cannot be read as one.
    """
    file = credentials_file(environ)
    url, token = environ.get("MLREG_URL"), environ.get("MLREG_TOKEN")
    if url and token:
        return Credentials(url, token)
    known = _read(file)
    tokens = known.get("tokens")
    url = url or str(known.get("current") or DEFAULT_URL)
    token = token or (tokens.get(url) if isinstance(tokens, dict) else None)
    return Credentials(url, str(token)) if token else None


def save_credentials(
    credentials: Credentials,
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 - an edge
) -> Path:
    """Remember a token and make its server the current one; the file is replaced as a whole."""
    file = credentials_file(environ)
    known = _read(file)
    tokens = known.get("tokens")
    tokens = (
        {**tokens, credentials.url: credentials.token}
        if isinstance(tokens, dict)
        else {credentials.url: credentials.token}
    )
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    form = {"current": credentials.url, "tokens": tokens}
    with new_file(file) as stream:  # mode 0600 from the start
        stream.write(json.dumps(form, indent=1).encode())
    return file


def credentials_file(environ: Mapping[str, str]) -> Path:
    """Return where the credentials file is, or would be."""
    folder = environ.get("MLREG_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".config" / "mlreg") / "credentials.json"


def _read(file: Path) -> Mapping[str, object]:
    try:
        known = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidError(f"{file} cannot be read: {error}", code="invalid_credentials") from error
    return known if isinstance(known, dict) else {}
