"""The data of a training, as an auditor asks for it: each part by name, digest and rows.

A part is a snapshot (its digest, or what `client.snapshots` answered), a file or folder (the sha256
of each file's bytes), or a table in memory (`tables.digest_of_table`).

What always holds: digests are taken before the training begins; nothing of the data leaves this
machine but names, digests, sizes and counts.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError
from mlreg.client.provenance import digest_of_file
from mlreg.client.training.tables import digest_of_table, is_table
from mlreg.client.versions import files_of
from mlreg.client.wire.versions import DataForm

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Sources:
    """The parts of the data: what is recorded of them, and the tables among them."""

    def __init__(self, given: object) -> None:
        """Look at what a person gave: one part, several, or a mapping from names to parts.

        Raises:
            OSError: a file is not there.
            InvalidError: a part is nothing that has a digest.
        """
        self.forms: list[DataForm] = []
        self.tables: list[object] = []
        self._states: dict[Path, tuple[int, int]] = {}
        for name, part in _named(given):
            self._add(name, part)

    def changed(self) -> list[Path]:
        """Return the files that are not as they were when their digest was taken."""
        return [path for path, state in self._states.items() if _find_state(path) != state]

    def _add(self, name: str, part: object) -> None:
        digest = part if isinstance(part, str) else getattr(part, "digest", None)
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            self.forms.append(DataForm(name=name or "snapshot", digest=digest, kind="snapshot"))
        elif isinstance(part, str | os.PathLike):
            self._add_files(name, Path(part))
        elif is_table(part):
            found, rows = digest_of_table(part)
            self.tables.append(part)
            self.forms.append(DataForm(name=name or "table", digest=found, kind="table", rows=rows))
        else:
            raise InvalidError(
                f"data of type {type(part).__name__} has no digest",
                code="unknown_data",
                hint="Give a snapshot, its digest, a file or folder, or a table.",
            )

    def _add_files(self, name: str, source: Path) -> None:
        for inside, path in files_of(source):
            alone = source.is_file()
            called = (name or inside) if alone else f"{name or source.name}/{inside}"
            self._states[path] = _find_state(path) or (0, 0)
            self.forms.append(
                DataForm(
                    name=called,
                    digest=digest_of_file(path),
                    kind="file",
                    rows=count_rows(path),
                    size=path.stat().st_size,
                )
            )


def count_rows(path: Path) -> int | None:
    """Return how many rows a file has, None where its name does not say how to count them.

    CSV files have a header; empty lines are no rows. Parquet is counted where pyarrow is installed.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            with path.open(encoding="utf-8", errors="replace", newline="") as file:
                return max(sum(1 for row in csv.reader(file) if row) - 1, 0)
        if suffix in {".jsonl", ".ndjson"}:
            with path.open("rb") as file:
                return sum(1 for line in file if line.strip())
        return _count_parquet(path) if suffix == ".parquet" else None
    except (OSError, ValueError, csv.Error):
        return None  # it has a digest all the same


def _count_parquet(path: Path) -> int | None:
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an optional dependency, and a slow import
    except ModuleNotFoundError:
        return None
    return int(pq.read_metadata(path).num_rows)


def _named(given: object) -> Iterator[tuple[str, object]]:
    if given is None:
        return
    if isinstance(given, Mapping):
        yield from ((str(name), part) for name, part in given.items())
    elif isinstance(given, Sequence | set | frozenset) and not isinstance(given, str | bytes):
        yield from (("", part) for part in given)
    else:
        yield "", given


def _find_state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
