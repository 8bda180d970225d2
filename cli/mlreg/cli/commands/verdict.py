"""How a command that waited for a verdict ends: 0 accepted, 1 rejected, 7 inconclusive."""

from __future__ import annotations

from mlreg.client.errors import InconclusiveError, RefusedError


def end_by_verdict(verdict: str | None, what: str, reason: str = "") -> None:
    """Return when the verdict is `accepted`.

    Raises:
        RefusedError: it is `rejected`.
        InconclusiveError: it is `inconclusive`: hold, and look again with more rows.
    """
    because = f": {reason}" if reason else ""
    if verdict == "rejected":
        raise RefusedError(f"{what} was rejected{because}", code="rejected")
    if verdict == "inconclusive":
        raise InconclusiveError(
            f"{what} is inconclusive{because}",
            code="inconclusive",
            hint="The champion stays; evaluate again with more rows.",
        )
