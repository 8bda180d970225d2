"""A command's way to the server, and what it says when something goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from mlreg.client.client import Client
from mlreg.client.errors import MlregError

if TYPE_CHECKING:
    from mlreg.registry.domain.errors import RegistryError

INTERNAL = 70
_REGISTRY_ERRORS = "mlreg.registry.domain.errors"


def open_client(*, timeout_seconds: float = 60.0) -> Client:
    """Open the server of MLREG_URL and MLREG_TOKEN, else the one of `mlreg login`."""
    return Client.from_environment(timeout_seconds=timeout_seconds)


def explain(error: Exception) -> int:
    """Say in one line what went wrong and what to do; return the exit code."""
    if isinstance(error, MlregError):
        return _say(str(error), error.hint, error.exit_code)
    found = _registry_error(error)
    if found is not None:
        return _say(str(found[0]), found[0].hint, found[1])
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 1
    if isinstance(error, OSError) and error.filename is not None:
        return _say(f"{error.filename}: {error.strerror}", "", 3 if error.errno == 2 else 1)  # noqa: PLR2004 - ENOENT
    return _internal(error)


def _registry_error(error: Exception) -> tuple[RegistryError, int] | None:
    """Return an error of the server's tree with its exit code; that tree may not be loaded."""
    errors = sys.modules.get(_REGISTRY_ERRORS)
    if errors is None or not isinstance(error, errors.RegistryError):
        return None
    codes = {
        errors.InvalidError: 2,
        errors.NotFoundError: 3,
        errors.NotAllowedError: 4,
        errors.UnauthenticatedError: 4,
        errors.UnavailableError: 5,
        errors.IntegrityError: 8,
    }
    return error, next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


def _internal(error: Exception) -> int:
    if os.environ.get("MLREG_DEBUG"):  # noqa: TID251 - the edge, and only for who debugs mlreg
        traceback.print_exception(error)
    return _say(
        f"internal error: {type(error).__name__}: {_one_line(str(error))}",
        "This is a bug of mlreg; MLREG_DEBUG=1 shows where.",
        INTERNAL,
    )


def _say(message: str, hint: str, code: int) -> int:
    print(f"mlreg: {_one_line(message)}" + (f" {hint}" if hint else ""), file=sys.stderr)
    return code


def _one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."
