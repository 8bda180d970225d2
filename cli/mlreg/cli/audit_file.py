"""Verifying an exported audit log without any server: the chain, the end, the checkpoints.

What always holds: the file is read line by line, however long it is. Needs the package's extra
`server`, as everything does that hashes what a server wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from mlreg.client.errors import InvalidError
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


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """What the last line of an export says it holds."""

    after: int
    end: int
    head: tuple[int, str]
    checkpoint: str | None
    verifier: str | None


def read_end(file: Path) -> ExportEnd:
    """Return what an export says of itself.

    Raises:
        InvalidError: its last line is not that of an export; it may be cut.
    """
    last = ""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            last = line
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
        raise InvalidError(
            f"{file}: its last line is not the end of an export (JSON lines); is it cut?",
            code="invalid_export",
        ) from error


def verify_file(file: Path, held: Sequence[Held]) -> Verification:
    """Walk along an export, and name the first entry that is not as it was written.

    A part of a log (`--since`) is walked along from the entry before it; then no checkpoint can be
    held against it, for they are of the whole.

    Raises:
        InvalidError: it is not an export, or a checkpoint was given for a part of a log.
    """
    end = read_end(file)
    against = [*held, *_own(end)] if end.after == 0 else []
    if held and end.after:
        raise InvalidError(
            f"{file} begins after entry {end.after}; checkpoints are of the whole log",
            code="partial_export",
        )
    roots = RootsAt(one.size for one in against)
    links = _links(file)
    first = next(links, None)
    start = (end.after, first[0].previous if first and end.after else GENESIS)
    last = (end.head if end.end == end.head[0] else None) or _digest_at(file, end)
    found = verify_chain(watched(chain([first] if first else [], links), roots), last, start)
    found = replace(found, checkpoints=len(against))
    bad, reason = contradiction(against, roots.roots, found.entries)
    if bad and (found.first_bad is None or bad < found.first_bad):
        return replace(found, first_bad=bad, reason=reason)
    return found


def _own(end: ExportEnd) -> list[Held]:
    """Return the export's own checkpoint, where the export reaches it."""
    if end.checkpoint is None:
        return []
    try:
        checkpoint = parse_checkpoint(parse_note(end.checkpoint))
    except BadNoteError as error:
        raise InvalidError(str(error), code="invalid_export") from error
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
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                if "export" in fields:
                    return
                yield _link(fields)
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidError(
                    f"{file}: line {number} is not an audit entry", code="invalid_export"
                ) from error


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
