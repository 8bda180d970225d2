"""Sources: a million rows of 20 features frozen, and read as rows that a trainer takes.

`python -m benchmarks.sources` makes the same rows as a folder of Parquet files, as objects of an S3
server (`rclone serve s3`), as a Delta table and as a table of PostgreSQL, all on this machine, and
times `freeze` (list, look at footers, hash; for the query: ask it, and keep its answer) and `read`
(hash every byte again, parse, cast, check, sort by time). `again` is a freeze that remembers what
was hashed before. Beside them stands what reading the same files with bare pyarrow takes, nothing
hashed and nothing checked.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from benchmarks.report import Target, report
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.controller.domain.sources import Columns, FeatureColumn, FrozenSource, parse_source
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.rows import RowRules
from mlreg.controller.feedback.schemas import LABELS
from mlreg.controller.sources.columns import Choice
from mlreg.controller.sources.opening import Reach, open_source, opener
from mlreg.controller.sources.reading import Asking, read_frozen
from mlreg.registry.artifacts.filesystem import FolderStore
from tests.servers.s3 import BUCKET, S3Server, rclone_server
from tests.source_makers import bucket_of, connections_of, fill_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 1_000_000
FILES = 20
FEATURES = [f"feature_{number}" for number in range(20)]
START = datetime(2013, 1, 1, tzinfo=UTC)
SPAN = Interval(START, START + timedelta(days=365))
COLUMNS = Columns(features=tuple(FeatureColumn(name, "float", name) for name in FEATURES))
RULES = RowRules(LABELS, SPAN.end, "binary", 0, 0, {})
TARGETS: dict[str, Target] = {
    "folder_freeze_seconds": ("<=", 1.0),
    "folder_again_seconds": ("<=", 0.2),
    "folder_read_seconds": ("<=", 2.0),
    "s3_freeze_seconds": ("<=", 3.0),
    "s3_read_seconds": ("<=", 4.0),
    "delta_freeze_seconds": ("<=", 1.5),
    "delta_read_seconds": ("<=", 2.0),
    "sql_freeze_seconds": ("<=", 30.0),
    "sql_read_seconds": ("<=", 2.0),
}


class Remembering:
    """Remembers digests in memory."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, str]] = {}

    def recall(self, urls: list[str]) -> dict[str, tuple[str, str]]:
        """See `DigestMemory.recall`."""
        return {url: self.known[url] for url in urls if url in self.known}

    def note(self, digests: dict[str, tuple[str, str]]) -> None:
        """See `DigestMemory.note`."""
        self.known.update(digests)


def made_rows() -> pa.Table:
    """Return the rows."""
    rng = np.random.default_rng(0)
    times = int(START.timestamp() * 1e6) + 30_000_000 * np.arange(ROWS)
    return pa.table(
        {
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "label": (rng.random(ROWS) < 0.3).astype(float),
            **{name: rng.normal(size=ROWS) for name in FEATURES},
        }
    )


def parts_of(rows: pa.Table) -> Iterator[bytes]:
    """Yield the rows as the bytes of Parquet files."""
    size = ROWS // FILES
    for number in range(FILES):
        buffer = io.BytesIO()
        pq.write_table(rows.slice(number * size, size), buffer)
        yield buffer.getvalue()


def timed(name: str, reach: Reach, text: str, *, again: bool = False) -> dict[str, float]:
    """Return the seconds of freezing and reading one source."""
    memory = Remembering()
    source = open_source(parse_source(text), COLUMNS, reach, memory)
    began = time.perf_counter()
    frozen = source.freeze(SPAN)
    found = {f"{name}_freeze_seconds": time.perf_counter() - began}
    if again:
        began = time.perf_counter()
        source.freeze(SPAN)
        found[f"{name}_again_seconds"] = time.perf_counter() - began
    began = time.perf_counter()
    rows = read(frozen, reach)
    found[f"{name}_read_seconds"] = time.perf_counter() - began
    if rows != ROWS:
        raise SystemExit(f"{name}: {rows} rows")
    return found


def read(frozen: FrozenSource, reach: Reach) -> int:
    """Read all rows and return how many there are."""
    asking = Asking(frozen, Choice(SPAN), None, RULES)
    return sum(table.num_rows for table in read_frozen(asking, opener(frozen, reach)))


def measure() -> dict[str, float]:
    """Measure every source."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, url = _servers(stack, folder)
        rows = made_rows()
        _fill(folder, server, url, rows)
        connections = connections_of(
            lake={"kind": "folder", "path": str(folder)},
            s3=bucket_of(server),
            warehouse={"kind": "postgres", "url": url},
        )
        reach = Reach(connections, FolderStore(folder / "store"), "bench")
        began = time.perf_counter()
        pq.read_table(folder / "files")
        bare = {"bare_pyarrow_read_seconds": time.perf_counter() - began}
        query = "SELECT * FROM events WHERE time >= :start AND time < :end ORDER BY time"
        return {
            **timed("folder", reach, f"{folder}/files", again=True),
            **bare,
            **timed("s3", reach, f"s3://{BUCKET}/files"),
            **timed("delta", reach, f"delta:{folder}/table"),
            **timed("sql", reach, f"sql:warehouse: {query}"),
        }


def _servers(stack: contextlib.ExitStack, folder: Path) -> tuple[S3Server, str]:
    server = rclone_server()
    server.start()
    stack.callback(server.stop)
    postgres = EmbeddedPostgres(folder / "pg", settings={"fsync": "off"}, sync=False)
    postgres.start()
    stack.callback(postgres.stop)
    return server, postgres.url().replace("+psycopg", "")


def _fill(folder: Path, server: S3Server, url: str, rows: pa.Table) -> None:
    (folder / "files").mkdir()
    client = server.client()
    for number, content in enumerate(parts_of(rows)):
        (folder / "files" / f"{number:02d}.parquet").write_bytes(content)
        client.put_object(Bucket=BUCKET, Key=f"files/{number:02d}.parquet", Body=content)
    client.close()
    write_deltalake(str(folder / "table"), rows)
    fill_table(url, rows)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE events")


if __name__ == "__main__":
    report(measure, TARGETS)
