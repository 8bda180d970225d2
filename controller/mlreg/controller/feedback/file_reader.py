"""Files of rows (Parquet, CSV, JSON lines), read in a child process with limits.

What always holds: the child gets no environment and no more than 3 GiB of address space and 60
seconds of processor; what it writes is an Arrow stream, or one line that says what is wrong. If it
is killed, the file is refused, and the server lives.
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import subprocess
import sys

import pyarrow as pa

from mlreg.controller.domain.batches import MAX_ROWS, MAX_TABLE_BYTES, UnreadableBodyError

MAX_ADDRESS_BYTES = 3 * 2**30
MAX_CPU_SECONDS = 60
MAX_WALL_SECONDS = 90
PARQUET, CSV = "application/vnd.apache.parquet", "text/csv"
_BLOCK_BYTES = 8 * 2**20
_WRONG = 3

log = logging.getLogger("mlreg.feedback")


def read_file(body: bytes, content_type: str, text: list[str]) -> bytes:
    """Return the rows of a file as an Arrow stream.

    Args:
        body: the file's bytes.
        content_type: that of Parquet, CSV or JSON lines.
        text: columns to be read as text where the form does not tell types.

    Raises:
        UnreadableBodyError: the file is not of that type, or takes too much to read.
    """
    child = _ended_reader(body, content_type, text)
    if child.returncode not in {0, _WRONG}:  # killed from outside, perhaps: one more try
        child = _ended_reader(body, content_type, text)
    if child.returncode == _WRONG:
        cause = child.stdout.decode("utf-8", "replace").strip()[:300]
        raise UnreadableBodyError(content_type=content_type, cause=cause or "it is broken")
    if child.returncode != 0:
        cause = "it takes too much memory or time to read"
        raise UnreadableBodyError(content_type=content_type, cause=cause)
    return child.stdout


def _ended_reader(
    body: bytes, content_type: str, text: list[str]
) -> subprocess.CompletedProcess[bytes]:
    """Run the child to its end, and log what an end of its own making does not say."""
    try:
        child = subprocess.run(  # noqa: S603 - our own module, in our own interpreter
            [sys.executable, "-I", "-m", __name__, content_type, json.dumps(text)],
            input=body,
            capture_output=True,
            timeout=MAX_WALL_SECONDS,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableBodyError(content_type=content_type, cause="it takes too long") from error
    if child.returncode not in {0, _WRONG}:
        said = child.stderr.decode("utf-8", "replace").strip()[-500:]
        log.warning("the reader of a file ended with %d: %s", child.returncode, said)
    return child


def read_table(body: bytes, content_type: str, text: list[str]) -> pa.Table:
    """Read a file here and now, without limits but on the size of what comes out.

    Raises:
        ValueError (and its kin of pyarrow): the file is not of that type, or is too large.
    """
    if content_type == PARQUET:
        return _read_parquet(body)
    if content_type == CSV:
        return _read_csv(body)
    return _read_json_lines(body, text)


def _read_parquet(body: bytes) -> pa.Table:
    from pyarrow import parquet  # noqa: PLC0415 - the child loads only the reader that it needs

    file = parquet.ParquetFile(io.BytesIO(body))
    inflated = sum(
        file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)
    )
    _check_size(file.metadata.num_rows, inflated)
    return file.read(use_threads=False)


def _read_csv(body: bytes) -> pa.Table:
    from pyarrow import csv  # noqa: PLC0415 - as above

    names = csv.open_csv(io.BytesIO(body), read_options=csv.ReadOptions(use_threads=False)).schema
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(names.names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    reading = csv.ReadOptions(use_threads=False)
    return csv.read_csv(io.BytesIO(body), read_options=reading, convert_options=options)


def _read_json_lines(body: bytes, text: list[str]) -> pa.Table:
    from pyarrow import json as lines  # noqa: PLC0415 - as above

    known = [pa.field(name, pa.string()) for name in ("prediction_id", "time", *text)]
    schema = pa.schema({field.name: field for field in known}.values())
    found = lines.read_json(
        io.BytesIO(body),
        read_options=lines.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=lines.ParseOptions(explicit_schema=schema),
    )
    empty = [name for name in schema.names if found[name].null_count == found.num_rows]
    return found.drop_columns(empty)


def _check_size(rows: int, size: int) -> None:
    if rows > MAX_ROWS:
        raise ValueError(f"it has {rows:,} rows, {MAX_ROWS:,} is the most")
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"it holds {size:,} bytes of values, {MAX_TABLE_BYTES:,} is the most")


def main(content_type: str, text: str) -> int:
    """Read a file from standard input and write it as an Arrow stream, in the child."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    try:
        table = read_table(sys.stdin.buffer.read(), content_type, json.loads(text))
        _check_size(table.num_rows, table.nbytes)
    except (ValueError, OSError, KeyError, pa.ArrowException) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        sys.stdout.write(first)
        return _WRONG
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # All is said. On busy machines a rare orderly end was aborted by a thread that a library had
    # left (SIGABRT, "terminate called without an active exception").
    os._exit(code)
