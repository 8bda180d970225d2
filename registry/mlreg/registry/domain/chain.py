"""The hash chain of the audit log, format 1.

An entry's digest is the SHA-256 of the canonical JSON (RFC 8785) of its fields and of the digest
before it, so nothing can be changed, dropped or put in between without every later digest failing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.registry.domain.digests import canonical_json, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMAT = 1
GENESIS = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is hashed; `body` is canonical JSON."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    body: str
    previous: str
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """The digest of this entry and, through `previous`, of all before it."""
        return digest_of(self.canonical)

    @property
    def canonical(self) -> bytes:
        """What is hashed."""
        return canonical_json(
            {
                "format": self.format,
                "seq": self.seq,
                "at": self.at.isoformat(timespec="microseconds"),
                "actor": self.actor,
                "action": self.action,
                "subject": self.subject,
                "body": self.body,
                "previous": self.previous,
            }
        )

    @property
    def around_its_place(self) -> tuple[str, str, str]:
        """What is hashed, cut where `previous` and `seq` go, for whoever finds its place later.

        The whole is first + previous + second + seq + third. RFC 8785 sorts the members, so these
        two stand side by side; a digest needs no escape, and a seq is its decimal digits.
        """
        text = self.canonical.decode()
        hole = f'"previous":"{self.previous}","seq":{self.seq},"subject":'
        before, _, after = text.rpartition(hole)
        return f'{before}"previous":"', '","seq":', f',"subject":{after}'


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk along the chain found; `first_bad` is None when all is well.

    `checkpoints` is how many of them were held against the log.
    """

    entries: int
    head: str
    first_bad: int | None = None
    reason: str = ""
    checkpoints: int = 0


def canonical_body(body: Mapping[str, object]) -> str:
    """Return the body as it is stored and hashed.

    Raises:
        InvalidError: it has a NaN or an integer beyond 2^53.
    """
    return canonical_json(body).decode()


def verify_chain(
    links: Iterable[tuple[Link, str]],
    head: tuple[int, str],
    start: tuple[int, str] = (0, GENESIS),
) -> Verification:
    """Walk (entry, its stored digest) in order of seq, up to the head, and name the first bad one.

    A gap is the missing number; a truncated end is the number after the last; an entry beyond the
    head is that entry. The walk begins after `start`, the number and digest of an entry.
    """
    seq, digest = start
    for link, stored in links:
        reason = _fault(link, stored, seq, digest)
        if reason:
            return Verification(seq, digest, min(link.seq, seq + 1), reason)
        seq, digest = link.seq, stored
    if (seq, digest) != head:
        reason = f"the chain ends at {seq}, but its head says {head[0]}"
        return Verification(seq, digest, min(seq, head[0]) + (seq != head[0]), reason)
    return Verification(seq, digest)


def _fault(link: Link, stored: str, seq: int, digest: str) -> str:
    if link.seq != seq + 1:
        return f"entry {seq + 1} is missing"
    if link.format != FORMAT:
        return f"its format {link.format} is not known"
    if link.previous != digest:
        return "it does not follow from the entry before it"
    if link.digest != stored:
        return "its content does not match its digest"
    return ""
