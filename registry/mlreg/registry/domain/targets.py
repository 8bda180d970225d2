"""Where a webhook points: what its URL may be, and what the operator allows beyond the internet.

What always holds: a target is `https://`, a host in plain ASCII, a port, a path, and nothing else;
only the ports at which webhooks listen, unless the operator named `host:port`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlreg.registry.domain.errors import InvalidError, RefusedError

HTTPS_PORT = 443
PORTS = frozenset({HTTPS_PORT, 8443})
MAX_PORT = 65_535
MAX_URL_CHARACTERS = 2_000
_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!\"$-\[\]-~]*)?"
)


class InvalidTargetError(InvalidError):
    """A URL that a webhook cannot have."""

    code = "invalid_webhook_url"
    hint = "Use https://host/path; a host beyond ASCII in its xn-- form, no user, no fragment."

    def __init__(self) -> None:
        super().__init__("the URL is not of the form https://host/path")


class ForbiddenTargetError(RefusedError):
    """A host or port that webhooks may not call."""

    code = "forbidden_webhook_target"
    hint = "The operator can allow an internal host: MLREG_WEBHOOK_ALLOW=host:port."

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"{place} is not called: {reason}")


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names; `path` includes the query."""

    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The URL in its plain form."""
        return f"https://{self._written}:{self.port}{self.path}"

    @property
    def place(self) -> str:
        """Host and port, as an operator's list of allowed ones has them."""
        return f"{self._written}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL without its path, which may be a secret."""
        return f"https://{self._written}{'' if self.port == HTTPS_PORT else f':{self.port}'}/…"

    @property
    def _written(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_target(url: str) -> Target:
    """Take a URL apart.

    Raises:
        InvalidTargetError: it is none that a webhook can have; the message does not quote it.
    """
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
    port = int(found["port"] or HTTPS_PORT) if found else 0
    if found is None or not 0 < port <= MAX_PORT:
        raise InvalidTargetError
    return Target(found["host"].strip("[]").lower(), port, found["path"] or "/")


def is_allowed(target: Target, allowed: frozenset[str]) -> bool:
    """Say whether the operator has named this host, with this port or with a usual one."""
    return target.place in allowed or (target.host in allowed and target.port in PORTS)


def check_port(target: Target, allowed: frozenset[str]) -> None:
    """Refuse ports at which other things than webhooks listen.

    Raises:
        ForbiddenTargetError: it is neither a usual one nor named by the operator.
    """
    if target.port not in PORTS and not is_allowed(target, allowed):
        raise ForbiddenTargetError(place=target.place, reason="its port is not 443 or 8443")
