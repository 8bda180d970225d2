"""What can go wrong with the embedded server, as leaves of the registry's tree.

```
UnavailableError
├── ServerNotStartedError     the server ended, or gave no answer in time
└── ServerAccountError        no user may run the server here
```
"""

from __future__ import annotations

from mlreg.registry.domain.errors import UnavailableError


class ServerNotStartedError(UnavailableError):
    """The embedded server ended at its start, or gave no answer in time."""

    code = "embedded_server_not_started"
    hint = "The server's own words are in the log; `mlreg doctor` looks at the folder."

    def __init__(self, *, cause: str, log: object) -> None:
        super().__init__(f"the embedded PostgreSQL does not start: {cause} (log: {log})")


class ServerAccountError(UnavailableError):
    """There is no user that the server could run as."""

    code = "embedded_server_account"
    hint = "Run mlreg as a normal user with a name, or point MLREG_DATABASE_URL at a server."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the embedded PostgreSQL has no user to run as: {cause}")
