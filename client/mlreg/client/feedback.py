"""The feedback log, as the client sees it: log predictions, and later their labels.

What always holds: a batch is kept as a whole or not at all, and once per batch id, so sending it
again is safe. Rows travel as Arrow where pyarrow is installed (`pip install 'mlreg[score]'`), as
JSON (at most 1 MiB a batch) where it is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlreg.client.errors import InvalidError, RunFailedError
from mlreg.client.log_buffer import BufferBounds, LogBuffer
from mlreg.client.states import became
from mlreg.client.transport import Call, parsed, path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.feedback import BatchAnswer
from mlreg.client.wire.log_upkeep import (
    ErasureAnswer,
    ErasureRequest,
    RetentionAnswer,
    RetentionRequest,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from mlreg.client.transport import Transport

    Rows: TypeAlias = Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]] | pa.Table

Kind = Literal["predictions", "labels"]
ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
SUFFIXES = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".arrow": ARROW,
    ".arrows": ARROW,
    ".json": JSON,
}
SEND_SECONDS = 300.0
OPTIONAL = frozenset({"entity", "weight", "version", "score", "scores", "arm", "propensity"})
"""The columns that a row may be without."""
_NUMBERS = (int, float)


class FeedbackLog:
    """Logs predictions and labels of models.

    ```python
    client.log.labels("flights", [{"prediction_id": "a1", "label": 1}], "labels-2026-03-01")
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def predictions(self, model: str, rows: Rows, batch_id: str | None = None) -> BatchAnswer:
        """Log predictions.

        Args:
            model: the name of the model.
            rows: columns `prediction_id`, `time` (with its zone), `version`, `score`, and every
                feature (flat, or in a mapping `features`), perhaps `entity`, `arm`, `propensity`,
                and `scores` of a multiclass model: as a list of mappings, a mapping of columns, an
                Arrow table or a data frame.
            batch_id: names the batch, so that it is kept once; the digest of its bytes by default.

        Raises:
            InvalidError: a column or value breaks a rule; names column and row; nothing was kept.
            RefusedError: the batch id is taken by other rows (`batch_conflict`).
        """
        return self._log(model, "predictions", rows, batch_id)

    def labels(self, model: str, rows: Rows, batch_id: str | None = None) -> BatchAnswer:
        """Log labels: columns `prediction_id`, `time` (when it came to be), `label`, `weight`.

        Raises:
            InvalidError, RefusedError: as `predictions`.
        """
        return self._log(model, "labels", rows, batch_id)

    def buffered(
        self, model: str, kind: Kind = "predictions", bounds: BufferBounds | None = None
    ) -> LogBuffer:
        """Return a buffer that a serving process hands its rows to; a thread of it sends them.

        Its `add` never blocks and never raises; what is lost is counted in its `stats`. Rows are
        mappings, as `predictions` and `labels` take them.
        """

        def send(rows: Sequence[Mapping[str, object]], batch_id: str, seconds: float) -> None:
            content, content_type = _encoded(rows)
            self.send(model, kind, content, content_type, batch_id, seconds)

        _encoded([{"prediction_id": "a"}])  # imports now what cannot be at the end of the process
        name = f"{model} {kind}"
        return LogBuffer(name, send, bounds or BufferBounds(), self._transport.close)

    def retention(self, model: str) -> RetentionAnswer:
        """Return how long the logged rows of a model are kept."""
        return self._transport.get(path("models", model, "log", "retention"), RetentionAnswer)

    def set_retention(self, model: str, days: int | None) -> RetentionAnswer:
        """Keep the logged rows of a model for so many days, None for ever; older ones go."""
        body = RetentionRequest(days=days)
        return self._transport.post(
            path("models", model, "log", "retention"), body, RetentionAnswer
        )

    def erase(self, model: str, entity: str, *, reason: str) -> ErasureAnswer:
        """Ask for every row about an entity to be taken out of the log, with its labels.

        A worker does it; `erasure` tells when it is done. Snapshots that have such rows are lost.
        """
        body = ErasureRequest(entity=entity, reason=reason)
        return self._transport.post(path("models", model, "log", "erasures"), body, ErasureAnswer)

    def erasure(self, number: int) -> ErasureAnswer:
        """Return how far an erasure is."""
        return self._transport.get(path("erasures", number), ErasureAnswer)

    def wait_for_erasure(self, number: int) -> ErasureAnswer:
        """Wait until an erasure has ended, and return it.

        Raises:
            RunFailedError: it failed or is dead; the rows are still there.
        """
        ended = await_end(lambda: self.erasure(number))
        if ended.ended_at is None:
            raise RunFailedError(
                f"erasure {number} {became(ended.state)}: {ended.error or 'nobody knows why'};"
                " its rows are still there",
                code=f"erasure_{ended.state}",
            )
        return ended

    def erasures(
        self, model: str, *, before: str | None = None, limit: int = 100
    ) -> Page[ErasureAnswer]:
        """Return a page of the erasures of a model, newest first."""
        place = path("models", model, "log", "erasures")
        return self._transport.get(place, Page[ErasureAnswer], before=before, limit=limit)

    def send(
        self,
        model: str,
        kind: Kind,
        content: bytes,
        content_type: str,
        batch_id: str | None = None,
        timeout_seconds: float = SEND_SECONDS,
    ) -> BatchAnswer:
        """Log rows that are bytes already: Arrow, Parquet, CSV, JSON lines or JSON.

        Raises:
            InvalidError, RefusedError: as `predictions`.
        """
        call = Call(
            "POST",
            path("models", model, kind),
            query={"batch_id": batch_id},
            content=content,
            content_type=content_type,
            timeout_seconds=timeout_seconds,
        )
        return parsed(self._transport.send(call), BatchAnswer)

    def _log(self, model: str, kind: Kind, rows: Rows, batch_id: str | None) -> BatchAnswer:
        content, content_type = _encoded(rows)
        return self.send(model, kind, content, content_type, batch_id)


def _encoded(rows: Rows) -> tuple[bytes, str]:
    """Return rows as bytes and their content type: Arrow where pyarrow is there, else JSON."""
    if find_spec("pyarrow") is None:
        return json_of(rows), JSON
    return arrow_of(rows), ARROW


def content_type_of(name: str) -> str:
    """Return the content type of a file by the end of its name.

    Raises:
        InvalidError: it is none that rows are read from.
    """
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if suffix not in SUFFIXES:
        raise InvalidError(
            f"{name}: rows are not read from files of this kind",
            code="unknown_file_kind",
            hint=f"Name it with one of {', '.join(SUFFIXES)}.",
        )
    return SUFFIXES[suffix]


def arrow_of(rows: Rows) -> bytes:
    """Return rows as an Arrow IPC stream.

    Raises:
        InvalidError: a column mixes types.
    """
    import pyarrow as pa  # noqa: PLC0415 - optional: the base install does without

    try:
        table = _table(rows)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        first = str(error).strip().splitlines()[0]
        raise InvalidError(f"the rows are not a table: {first}", code="invalid_rows") from error
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def json_of(rows: Rows) -> bytes:
    """Return rows as a JSON batch.

    Raises:
        InvalidError: they are a table, which needs pyarrow, or hold a value that JSON cannot.
    """
    if isinstance(rows, Mapping):
        columns = {name: list(values) for name, values in rows.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not isinstance(rows, Sequence):
        raise InvalidError(
            f"rows of {type(rows).__name__} need pyarrow",
            code="no_pyarrow",
            hint="pip install 'mlreg[score]', or give a list of mappings.",
        )
    try:
        return json.dumps({"rows": list(rows)}, default=_plain, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidError(f"not representable as JSON: {error}", code="invalid_rows") from error


def _table(rows: Any) -> pa.Table:  # noqa: ANN401 - any kind of table
    import pyarrow as pa  # noqa: PLC0415 - as above

    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, Sequence):
        return pa.table(_columns([_flat(row) for row in rows]))
    if hasattr(rows, "to_dict") and hasattr(rows, "index"):
        return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    return pa.table(rows)


def _columns(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """Return the columns of rows: each that any row names (pyarrow looks at the first row only).

    Raises:
        InvalidError: a row lacks a column that others have and that must be there; or has a true
            or false where others have numbers, which pyarrow takes for 1 and 0.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        if name not in OPTIONAL and None in values:
            _refuse(name, (name not in row for row in rows), "it is missing")
        kinds = set(map(type, values))
        if bool in kinds and not kinds.isdisjoint(_NUMBERS):
            flags = (isinstance(value, bool) for value in values)
            _refuse(name, flags, "true or false stands beside numbers")
    return columns


def _refuse(name: str, wrong: Iterable[bool], problem: str) -> None:
    row = next((number for number, flag in enumerate(wrong, start=1) if flag), None)
    if row is not None:
        raise InvalidError(f"column {name!r}, row {row}: {problem}", code="invalid_rows")


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    features = row.get("features")
    if not isinstance(features, Mapping):
        return dict(row)
    return {**{name: value for name, value in row.items() if name != "features"}, **features}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    item = getattr(value, "item", None)
    if callable(item):  # a number of numpy
        return item()
    raise TypeError(f"a {type(value).__name__} is not JSON")
