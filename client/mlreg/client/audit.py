"""The audit log: list and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.paging import walk_pages
from mlreg.client.transport import Transport, path
from mlreg.client.wire.audit import AuditAnswer, VerificationAnswer
from mlreg.client.wire.base import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1_000


class Audit:
    """Reads the audit log."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self, *, action: str | None = None, subject: str | None = None
    ) -> Iterator[AuditAnswer]:
        """Iterate over the entries, newest first."""

        def page_before(before: str | None) -> Page[AuditAnswer]:
            return self._transport.get(
                path("audit"),
                Page[AuditAnswer],
                action=action,
                subject=subject,
                before=before,
                limit=PAGE,
            )

        return walk_pages(page_before)

    def verify(self) -> VerificationAnswer:
        """Have the server walk the hash chain and name the first bad entry."""
        return self._transport.get(path("audit", "verification"), VerificationAnswer)
