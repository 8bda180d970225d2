"""The audit log as a file that proves itself: entries, then the head and the newest checkpoint.

What always holds: an entry stands in the file as it was hashed, so `mlreg audit verify --file`
needs no server; the file ends with a line that says what it should hold, so a cut one is seen.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlmodel import col, func, select

from mlreg.registry.store import checkpoints
from mlreg.registry.store.tables import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession

    Reading = Callable[[], AbstractContextManager[ReadSession]]

Format = Literal["jsonl", "csv"]
PAGE = 1_000
COLUMNS = ("seq", "format", "at", "actor", "action", "subject", "body", "previous", "digest")


@dataclass(frozen=True, slots=True)
class Span:
    """The entries of an export: after one number, up to another.

    Attributes:
        head: number and digest of the newest entry of the log, exported or not.
        checkpoint: the newest signed note, or None.
        verifier: the key that signed it, as this server says.
    """

    after: int
    end: int
    head: tuple[int, str]
    checkpoint: str | None
    verifier: str | None

    @property
    def entries(self) -> int:
        """How many entries that are."""
        return max(self.end - self.after, 0)


def find_span(session: ReadSession, since: datetime | None, until: datetime | None) -> Span:
    """Return which entries to export: those from a moment on, and before another.

    Business time may go back between installations but not in one log, so a span of time is a span
    of numbers; where a clock jumped, the span holds a few more, never fewer.
    """
    head = checkpoints.head_of_log(session)
    first = _first_from(session, since) if since else 1
    last = head[0] if until is None else _last_before(session, until)
    newest = checkpoints.find_newest(session)
    return Span(
        after=first - 1,
        end=min(last, head[0]),
        head=head,
        checkpoint=newest.note if newest else None,
        verifier=newest.verifier if newest else None,
    )


def export(reading: Reading, span: Span, form: Format) -> Iterator[bytes]:
    """Yield the file in pieces; each page is a short transaction of its own."""
    yield _header(form)
    after = span.after
    while after < span.end:
        with reading() as session:
            page = session.exec(
                select(AuditEntry)
                .where(AuditEntry.seq > after, AuditEntry.seq <= span.end)
                .order_by(col(AuditEntry.seq))
                .limit(PAGE)
            ).all()
        if not page:
            break
        yield "".join(_line(entry, form) for entry in page).encode()
        after = page[-1].seq
    yield _trailer(span, form)


def _first_from(session: ReadSession, since: datetime) -> int:
    """Return the first entry from a moment on; that after the last when there is none."""
    first = session.exec(select(func.min(AuditEntry.seq)).where(AuditEntry.at >= since)).one()
    return int(first or checkpoints.head_of_log(session)[0] + 1)


def _last_before(session: ReadSession, until: datetime) -> int:
    last = session.exec(select(func.max(AuditEntry.seq)).where(AuditEntry.at < until)).one()
    return int(last or 0)


def _fields(entry: AuditEntry) -> dict[str, Any]:
    at = entry.at.isoformat(timespec="microseconds")
    return {**{name: getattr(entry, name) for name in COLUMNS}, "at": at}


def _header(form: Format) -> bytes:
    return (",".join(COLUMNS) + "\r\n").encode() if form == "csv" else b""


def _line(entry: AuditEntry, form: Format) -> str:
    fields = _fields(entry)
    if form == "jsonl":
        return json.dumps(fields, ensure_ascii=False) + "\n"
    stream = io.StringIO()
    csv.writer(stream).writerow([_inert(fields[name]) for name in COLUMNS])
    return stream.getvalue()


def _inert(value: object) -> object:
    """Return a text so that no spreadsheet takes it for a formula."""
    harmful = isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{value}" if harmful else value


def _trailer(span: Span, form: Format) -> bytes:
    end = {
        "export": {"after": span.after, "end": span.end},
        "head": {"seq": span.head[0], "digest": span.head[1]},
        "checkpoint": span.checkpoint,
        "verifier": span.verifier,
    }
    line = json.dumps(end, ensure_ascii=False)
    return f"# {line}\r\n".encode() if form == "csv" else f"{line}\n".encode()
