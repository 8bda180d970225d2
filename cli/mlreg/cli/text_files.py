"""Files of text that a command sends as they are: policies, invariants."""

from __future__ import annotations

import sys
from pathlib import Path

STDIN = Path("-")


def read_text(file: Path, code: str) -> str:
    """Return the text of a file, or of stdin for `-`.

    Args:
        file: where it is.
        code: of the error for bytes that are none.

    Raises:
        InvalidError: it is not UTF-8.
        OSError: it cannot be read.
    """
    from mlreg.client.errors import InvalidError

    content = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{file} is not UTF-8 text"
        raise InvalidError(message, code=code) from error
