"""One guarded POST to an address that a user has named.

What always holds: besides what `outgoing` promises (https, one look-up, the checked address and no
other, no redirect, no proxy): only allowed ports; of internal hosts only those that the operator
allows, and never a link-local address; from the first byte to the last at most `TOTAL_SECONDS`;
the answer's body is thrown away.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.connection import broken_off
from mlreg.registry.domain.addresses import is_for_nobody
from mlreg.registry.domain.targets import ForbiddenTargetError, Target, check_port, is_allowed
from mlreg.registry.services.outgoing import (
    Destination,
    ForbiddenDestinationError,
    NoAnswerError,
    check_destination,
    host_header,
    open_destination,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STEP_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MAX_ANSWER_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class PostSettings:
    """What the operator allows.

    Attributes:
        allow: internal hosts that may be called: `host` (ports 443 and 8443), or `host:port`.
        ca_file: certificates of authorities that count besides the system's.
    """

    allow: frozenset[str] = frozenset()
    ca_file: Path | None = None


class Postman:
    """Posts to targets, under the operator's rules."""

    def __init__(
        self, settings: PostSettings, resolved: Callable[[str, int], list[str]] = resolve
    ) -> None:
        self._allow = settings.allow
        self._resolved = resolved
        self._ca_file = settings.ca_file

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Read what is trusted when first something is posted: it takes a fortieth of a second."""
        trust = ssl.create_default_context()
        if self._ca_file is not None:
            trust.load_verify_locations(self._ca_file)
        return trust

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body, and return the status of the answer.

        Raises:
            ForbiddenTargetError: the target may not be called; nothing was connected to.
            NoAnswerError: it cannot be reached, is not who it should be, or is too slow.
        """
        to = check_target(target, self._allow, self._resolved)
        connection = open_destination(to, timeout_seconds=STEP_SECONDS, trust=self._trust)
        try:
            with broken_off(connection, TOTAL_SECONDS):
                own = {"Host": host_header(to), "User-Agent": "mlreg", "Connection": "close"}
                connection.request("POST", to.target, body=body, headers={**headers, **own})
                answer = connection.getresponse()
                answer.read(MAX_ANSWER_BYTES)
                return answer.status
        except (OSError, http.client.HTTPException) as error:
            cause = str(error) or type(error).__name__
            raise NoAnswerError(url=target.shown, cause=cause[:200]) from error
        finally:
            connection.close()


def check_target(
    target: Target,
    allow: frozenset[str],
    resolved: Callable[[str, int], list[str]] = resolve,
) -> Destination:
    """Return where a call of a target would go; `allow` is the operator's list.

    Raises:
        ForbiddenTargetError: it may not be called.
        NoAnswerError: its name is unknown, now.
    """
    check_port(target, allow)
    allowed = is_allowed(target, allow)
    try:
        to = check_destination(target.url, private=allowed, resolved=resolved)
    except ForbiddenDestinationError:
        reason = "its name leads into a private network"
        raise ForbiddenTargetError(place=target.place, reason=reason) from None
    except NoAnswerError:
        raise NoAnswerError(url=target.shown, cause="its name is unknown") from None
    if is_for_nobody(to.address):
        reason = "its address is link-local, multicast or none"
        raise ForbiddenTargetError(place=target.place, reason=reason)
    return to
