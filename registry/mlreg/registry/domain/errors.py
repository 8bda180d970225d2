"""Everything the registry refuses, as one tree.

```
RegistryError                     code, and a message made from named fields
├── InvalidError                  the input breaks a rule of form            exit 2   HTTP 422
├── NotFoundError                 the named thing is not there               exit 3   HTTP 404
├── NotAllowedError               this actor may not                         exit 4   HTTP 403
├── UnauthenticatedError          no valid token                             exit 4   HTTP 401
├── RefusedError                  a rule says no (gate, conflict, frozen)    exit 1   HTTP 409
│   ├── StaleRevisionError        compare-and-set lost                       exit 1   HTTP 412
│   └── PreconditionRequiredError If-Match is missing                        exit 1   HTTP 428
├── IntegrityError                bytes are not what was registered          exit 8   HTTP 409
└── UnavailableError              database, store or disk cannot serve now   exit 5   HTTP 503
    ├── DatabaseUnreachableError
    └── StorageFullError                                                     exit 5   HTTP 507
```

Each leaf lives beside the rule that raises it, carries a stable `code` (snake case) and makes its
own message. HTTP status and exit code follow from the branch, in one table each
(`api/problems.py`, the client's `errors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class RegistryError(Exception):
    """The root of the tree.

    Attributes:
        code: stable, snake case, the same for ever; programs branch on it.
        hint: what the reader can do about it, one sentence, or empty.
        status: the HTTP status where it is another than its branch's, else 0.
    """

    code = "registry_error"
    hint = ""
    status = 0


class InvalidError(RegistryError):
    """The input breaks a rule of form."""

    code = "invalid"


class NotFoundError(RegistryError):
    """The named thing is not there."""

    code = "not_found"


class NotAllowedError(RegistryError):
    """This actor may not do this."""

    code = "not_allowed"


class UnauthenticatedError(RegistryError):
    """No valid token came with the request; says nothing about why."""

    code = "unauthenticated"
    hint = "No token, or one that is wrong, expired or revoked: `mlreg login URL`, or MLREG_TOKEN."

    def __init__(self) -> None:
        super().__init__("authentication is required")


class RefusedError(RegistryError):
    """A rule says no."""

    code = "refused"


class StaleRevisionError(RefusedError):
    """A compare-and-set lost: the deployment moved on since the caller read it.

    Attributes:
        current: what the deployment is now, as plain JSON.
    """

    code = "stale_revision"
    hint = "Look at the present state, and try again with its revision."

    def __init__(self, *, expected: int, current: Mapping[str, object]) -> None:
        actual = current.get("revision")
        other = "but it is" if expected != actual else "of another incarnation (a restore?), not"
        super().__init__(f"revision {expected} was expected, {other} {actual}")
        self.current = current


class PreconditionRequiredError(RefusedError):
    """A change of a deployment that does not say which revision it expects."""

    code = "precondition_required"
    hint = "Send If-Match with the ETag of the deployment, or `*` for whatever it is."

    def __init__(self) -> None:
        super().__init__("a change of a deployment must say which revision it expects")


class IntegrityError(RegistryError):
    """Bytes are not what was registered."""

    code = "integrity"


class UnavailableError(RegistryError):
    """Something mlreg leans on cannot serve now; the same request may succeed later."""

    code = "unavailable"


class DatabaseUnreachableError(UnavailableError):
    """PostgreSQL gave no answer."""

    code = "database_unreachable"
    hint = "Check that PostgreSQL runs and that MLREG_DATABASE_URL names it."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the database cannot be reached: {cause}")


class StorageFullError(UnavailableError):
    """The disk or the bucket takes no more bytes."""

    code = "storage_full"
    hint = "Free space on the server, and try again; nothing was stored."

    def __init__(self, *, where: str) -> None:
        super().__init__(f"no space left in {where}")
