"""A command's way to the server, and what it says when something goes wrong.

What always holds: an error is one line on stderr; with `--json` that line is one JSON document
with `code`, `detail`, `hint` and `exit`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING

from typer._click.exceptions import ClickException, NoArgsIsHelpError

from mlreg.cli.output import OUTPUT
from mlreg.client.client import Client
from mlreg.client.errors import MlregError

if TYPE_CHECKING:
    from mlreg.registry.domain.errors import RegistryError

USAGE = 2
INTERNAL = 70
EXIT_OF_ERRNO = {
    errno.ENOENT: 3,
    errno.EISDIR: USAGE,
    errno.ENOTDIR: USAGE,
    errno.ENAMETOOLONG: USAGE,
    errno.EACCES: 4,
    errno.EPERM: 4,
}
_REGISTRY_ERRORS = "mlreg.registry.domain.errors"


def open_client(*, timeout_seconds: float = 60.0) -> Client:
    """Open the server of MLREG_URL and MLREG_TOKEN, else the one of `mlreg login`."""
    return Client.from_environment(timeout_seconds=timeout_seconds)


def explain(error: Exception) -> int:
    """Say in one line what went wrong and what to do; return the exit code."""
    if isinstance(error, MlregError):
        return _say(str(error), error.hint, error.exit_code, error.code)
    if isinstance(error, ClickException):
        return _usage(error)
    found = _registry_error(error)
    if found is not None:
        return _say(str(found[0]), found[0].hint, found[1], found[0].code)
    return _foreign(error)


def _foreign(error: Exception) -> int:
    """Say what an error of somebody else's tree means here."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python ends with 120
        return 1
    if isinstance(error, OSError) and error.errno is not None:
        return _system(error, error.errno)
    if str(getattr(error, "title", "")).endswith(("Request", "Form")):
        return _invalid_form(error)
    return _internal(error)


def _system(error: OSError, number: int) -> int:
    """Say what the operating system refused, and of which file."""
    where = "" if error.filename is None else f"{error.filename}: "
    code = errno.errorcode.get(number, "os_error").lower()
    return _say(f"{where}{error.strerror}", "", EXIT_OF_ERRNO.get(number, 1), code)


def _usage(error: ClickException) -> int:
    """Say what is wrong with the words of a command; a group without one shows its help."""
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        return USAGE
    context = getattr(error, "ctx", None)
    path = "mlreg" if context is None else context.command_path
    message = error.format_message().replace("Value error, ", "")
    return _say(message, f"`{path} --help` tells more.", error.exit_code, "usage")


def _invalid_form(error: Exception) -> int:
    """Say what is wrong with a request that pydantic refused before it was sent."""
    from mlreg.client.wire.validation import first_problem

    return _say(first_problem(error), "", USAGE, "invalid_request")  # type: ignore[arg-type]


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
        "internal",
    )


def _say(message: str, hint: str, exit_code: int, code: str) -> int:
    if OUTPUT.json:
        said = {"code": code, "detail": _one_line(message), "hint": hint, "exit": exit_code}
        print(json.dumps(said, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"mlreg: {_one_line(message)}" + (f" {hint}" if hint else ""), file=sys.stderr)
    return exit_code


def _one_line(message: str) -> str:
    """Return a message as one printable line: it may quote a file, and files bear anything."""
    words = " ".join(message.split())
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)
    return text if text.endswith((".", "?", "!")) else f"{text}."
