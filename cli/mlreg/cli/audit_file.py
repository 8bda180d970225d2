"""Verifying an exported audit log without any server: the chain, the end, the checkpoints.

What always holds: the file is read line by line, however long it is; what begins as an export and
does not end or go on as one was cut or changed (`IntegrityError`), and only what never was one is
the caller's mistake (`InvalidError`). Needs the package's extra `server`, as everything does that
hashes what a server wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from mlreg.client.errors import IntegrityError, InvalidError
from mlreg.registry.domain.chain import GENESIS, Link, Verification, verify_chain
from mlreg.registry.domain.checkpoints import (
    Held,
    RootsAt,
    contradiction,
    parse_checkpoint,
    watched,
)
from mlreg.registry.domain.errors import InvalidError as BadNoteError
from mlreg.registry.domain.notes import parse_note

BEGINNINGS = ('{"seq":', '{"export":')
"""How an export begins: with an entry, or at once with its end where there is none."""


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """What the last line of an export says it holds."""

    after: int
    end: int
    head: tuple[int, str]
    checkpoint: str | None
    verifier: str | None


class ExportBrokenError(IntegrityError):
    """An export that is not as it was written."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            problem,
            code="export_broken",
            hint="It was cut or changed since it was written: export the log again.",
        )


def read_end(file: Path) -> ExportEnd:
    """Return what an export says of itself.

    Raises:
        InvalidError: it is no export in JSON lines.
        ExportBrokenError: it begins as one, and its last line is not the end of one.
    """
    first = last = ""
    for line in _lines(file):
        first, last = first or line, line
    try:
        said = json.loads(last)
        return ExportEnd(
            after=said["export"]["after"],
            end=said["export"]["end"],
            head=(said["head"]["seq"], said["head"]["digest"]),
            checkpoint=said["checkpoint"],
            verifier=said["verifier"],
        )
    except (ValueError, KeyError, TypeError) as error:
        if first.replace(" ", "").startswith(BEGINNINGS):
            raise ExportBrokenError(f"{file} is cut: its last line is not its end") from error
        raise InvalidError(
            f"{file} is no export of the audit log in JSON lines", code="invalid_export"
        ) from error


def verify_file(file: Path, held: Sequence[Held]) -> Verification:
    """Walk along an export, and name the first entry that is not as it was written.

    A part of a log (`--since`) is walked along from the entry before it; then no checkpoint can be
    held against it, for they are of the whole.

    Raises:
        InvalidError: it is not an export, or a checkpoint was given for a part of a log.
        ExportBrokenError: it was cut, or a line of it is none of an export.
    """
    end = read_end(file)
    against = _against(file, end, held)
    roots = RootsAt(one.size for one in against)
    links = _links(file)
    first = next(links, None)
    start = (end.after, first[0].previous if first and end.after else GENESIS)
    last = end.head if end.end == end.head[0] else _digest_at(file, end)
    every = links if first is None else chain([first], links)
    found = verify_chain(watched(every, roots), last, start)
    found = replace(found, checkpoints=len(against))
    bad, reason = contradiction(against, roots.roots, found.entries)
    if bad and (found.first_bad is None or bad < found.first_bad):
        return replace(found, first_bad=bad, reason=reason)
    return found


def _against(file: Path, end: ExportEnd, held: Sequence[Held]) -> list[Held]:
    """Return the checkpoints to be held against an export: those given, and its own."""
    if end.after == 0:
        return [*held, *_own(end)]
    if held:
        raise InvalidError(
            f"{file} begins after entry {end.after}; checkpoints are of the whole log",
            code="partial_export",
        )
    return []


def _own(end: ExportEnd) -> list[Held]:
    """Return the export's own checkpoint, where the export reaches it."""
    if end.checkpoint is None:
        return []
    try:
        checkpoint = parse_checkpoint(parse_note(end.checkpoint))
    except BadNoteError as error:
        raise ExportBrokenError(f"its checkpoint is none: {error}") from error
    reached = checkpoint.size <= end.end or end.end == end.head[0]
    return [Held(checkpoint.size, checkpoint.root)] if reached else []


def _digest_at(file: Path, end: ExportEnd) -> tuple[int, str]:
    """Return number and stored digest of the last entry that an export should hold."""
    digest = GENESIS
    for link, stored in _links(file):
        if link.seq == end.end:
            digest = stored
    return end.end, digest


def _links(file: Path) -> Iterator[tuple[Link, str]]:
    for number, line in enumerate(_lines(file), 1):
        try:
            fields = json.loads(line)
            if "export" in fields:
                return
            yield _link(fields)
        except (ValueError, KeyError, TypeError) as error:
            raise ExportBrokenError(f"{file}: line {number} is not an audit entry") from error


def _lines(file: Path) -> Iterator[str]:
    """Yield the lines; bytes that are no UTF-8 become signs that no digest was made of."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        yield from lines


def _link(fields: Mapping[str, Any]) -> tuple[Link, str]:
    link = Link(
        seq=int(fields["seq"]),
        at=datetime.fromisoformat(fields["at"]),
        actor=str(fields["actor"]),
        action=str(fields["action"]),
        subject=str(fields["subject"]),
        body=str(fields["body"]),
        previous=str(fields["previous"]),
        format=int(fields["format"]),
    )
    return link, str(fields["digest"])
