"""Parquet files as a source: a folder, a file or a pattern, with hive partitions as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.sources import Columns, FrozenSource, SourceName, fixed_part
from mlreg.controller.sources.freezing import Listed, Wish, freeze_files, hive_partitions
from mlreg.controller.sources.source import DigestMemory, Place, Source

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval


@dataclass(frozen=True, slots=True)
class Reached:
    """A name, what reaches it, and what its columns are.

    Attributes:
        connection: the name of the connection that the place belongs to.
    """

    name: SourceName
    connection: str
    place: Place
    columns: Columns
    memory: DigestMemory


class ParquetFiles:
    """All files that a pattern matches when it is frozen."""

    def __init__(self, reached: Reached) -> None:
        self._reached = reached

    def freeze(self, span: Interval) -> FrozenSource:
        """See `Source.freeze`."""
        it = self._reached
        url = it.name.url
        root = fixed_part(url)
        found = [Listed(one, hive_partitions(one, root)) for one in it.place.find(url)]
        wish = Wish(it.place, it.columns, span, it.memory)
        files = freeze_files(it.name.spelt, found, wish)
        return FrozenSource("parquet", it.name.spelt, it.connection, it.columns, files)


_PROOF: type[Source] = ParquetFiles
