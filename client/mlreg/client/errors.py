"""Everything that a call of the server can end in, as one tree, with the exit code of each branch.

```
MlregError                    code, message, hint           exit 70
├── RefusedError              a rule says no                exit 1
│   └── StaleRevisionError    compare-and-set lost          exit 1
├── InvalidError              the input breaks a rule       exit 2
├── NotFoundError             the named thing is not there  exit 3
├── NotAllowedError           no valid token, or may not    exit 4
├── UnreachableError          no answer, or not now         exit 5
├── RunFailedError            a run failed or is dead       exit 6
├── InconclusiveError         evidence says: hold           exit 7
├── IntegrityError            bytes are not as registered   exit 8
└── ServerError               the server's own fault        exit 70
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class MlregError(Exception):
    """The root of the tree.

    Attributes:
        code: stable, snake case; programs branch on it.
        hint: what to do about it, or empty.
        status: the HTTP status it came with, or 0 when no server said so.
    """

    exit_code = 70

    def __init__(
        self, message: str, *, code: str = "error", hint: str = "", status: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.status = status
        if hint:
            self.add_note(hint)  # tracebacks show notes: scripts and notebooks have no other place


class RefusedError(MlregError):
    """A rule says no: gate, conflict, frozen."""

    exit_code = 1


class StaleRevisionError(RefusedError):
    """The deployment moved on since it was read; `current` is what it is now."""

    current: Mapping[str, object] | None = None


class InvalidError(MlregError):
    """The input breaks a rule of form."""

    exit_code = 2


class NotFoundError(MlregError):
    """The named thing is not there."""

    exit_code = 3


class NotAllowedError(MlregError):
    """No valid token, or its bearer may not do this."""

    exit_code = 4


class UnreachableError(MlregError):
    """The server, its database or its store gave no answer."""

    exit_code = 5


class RunFailedError(MlregError):
    """A run that was waited for failed, was cancelled, or is dead."""

    exit_code = 6


class InconclusiveError(MlregError):
    """A decision that was waited for says: hold."""

    exit_code = 7


class IntegrityError(MlregError):
    """Bytes are not what was registered."""

    exit_code = 8


class ServerError(MlregError):
    """The server failed in a way of its own."""


BY_KIND: dict[str, type[MlregError]] = {
    "invalid": InvalidError,
    "not_found": NotFoundError,
    "not_allowed": NotAllowedError,
    "unauthenticated": NotAllowedError,
    "refused": RefusedError,
    "stale_revision": StaleRevisionError,
    "integrity": IntegrityError,
    "unavailable": UnreachableError,
}
_BY_STATUS: dict[int, type[MlregError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    409: RefusedError,
    412: StaleRevisionError,
    428: RefusedError,
    429: UnreachableError,
    502: UnreachableError,
    503: UnreachableError,
    504: UnreachableError,
    507: UnreachableError,
}


def error_from_problem(status: int, problem: Mapping[str, object]) -> MlregError:
    """Return the error that an answer with a status of 400 or more stands for (RFC 9457)."""
    kind = BY_KIND.get(str(problem.get("kind", ""))) or _BY_STATUS.get(status)
    if kind is None:
        kind = ServerError if status >= 500 else InvalidError  # noqa: PLR2004 - HTTP's own classes
    error = kind(
        str(problem.get("detail") or problem.get("title") or f"the server answered {status}"),
        code=str(problem.get("code", f"http_{status}")),
        hint=str(problem.get("hint", "")),
        status=status,
    )
    current = problem.get("current")
    if isinstance(error, StaleRevisionError) and isinstance(current, dict):
        error.current = current
    return error
