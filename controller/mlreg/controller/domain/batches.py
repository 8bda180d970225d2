"""Batches of the feedback log: what they are, how large they may be, and how they are refused.

```
InvalidError
├── InvalidRowsError       a column or a value breaks a rule; names the column and the row
└── UnreadableBodyError    the bytes are not what their content type says
RefusedError
└── BatchConflictError     the batch id is taken by other bytes
```

What always holds: a batch is accepted as a whole or not at all; its key is (model, kind, batch id).
Rows are counted from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mlreg.registry.domain.errors import InvalidError, RefusedError

Kind = Literal["predictions", "labels"]

MAX_ROWS = 1_000_000
MAX_BODY_BYTES = 64 * 2**20
MAX_TABLE_BYTES = 512 * 2**20
MAX_CHECKED_BYTES = 256 * 2**20
"""Of a batch as it is kept: a dictionary, or a list of nulls, may stand for gigabytes."""
MAX_TEXT_LENGTH = 1_024
FUTURE_TOLERANCE = timedelta(days=1)
_SHOWN_LETTERS = 80
BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+@=-]{0,199}")

PREDICTION_ID = "prediction_id"
TIME = "time"
VERSION = "version"
SCORE = "score"
SCORES = "scores"
ENTITY = "entity"
ARM = "arm"
PROPENSITY = "propensity"
LABEL = "label"
WEIGHT = "weight"
BATCH = "mlreg:batch"
ROW = "mlreg:row"
OWN_WEIGHT = "mlreg:weight"
"""Of training rows that a selection weighs: what each counts without it, as where it is judged."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch.

    Attributes:
        batch_id: the key it was given or, where none was, the digest of its bytes.
        rows: how many rows it holds.
        duplicate: the same bytes were accepted under this key before; nothing was added.
    """

    batch_id: str
    rows: int
    duplicate: bool


class InvalidRowsError(InvalidError):
    """A column or a value of a batch breaks a rule; nothing of the batch was kept."""

    code = "invalid_rows"
    hint = "Nothing of this batch was kept; correct it and send it again under the same id."

    def __init__(self, *, column: str, problem: str, row: int | None = None) -> None:
        name = column if len(column) <= _SHOWN_LETTERS else column[:_SHOWN_LETTERS] + "..."
        where = f"column {name!r}" + ("" if row is None else f", row {row}")
        super().__init__(f"{where}: {problem}")
        self.column = column
        self.problem = problem
        self.row = row


class UnreadableBodyError(InvalidError):
    """The bytes are not what their content type says."""

    code = "unreadable_body"

    def __init__(self, *, content_type: str, cause: str) -> None:
        super().__init__(f"the body is not readable as {content_type}: {cause}")


class UnknownContentTypeError(InvalidError):
    """Rows came in a form that is not read here."""

    code = "unsupported_media_type"
    status = 415
    hint = "Send JSON, an Arrow stream, Parquet, CSV or JSON lines."

    def __init__(self, *, content_type: str) -> None:
        super().__init__(f"rows cannot be read from {content_type[:100]!r}")


class InvalidBatchIdError(InvalidError):
    """A batch id that is not 1 to 200 plain characters."""

    code = "invalid_batch_id"
    hint = "Use 1 to 200 letters, digits and . _ : / + @ = -, beginning with a letter or a digit."

    def __init__(self, *, batch_id: str) -> None:
        super().__init__(f"{batch_id[:80]!r} is not a valid batch id")


class BatchConflictError(RefusedError):
    """The batch id is taken by other bytes."""

    code = "batch_conflict"
    hint = "Give these rows a batch id of their own."

    def __init__(self, *, kind: str, batch_id: str) -> None:
        super().__init__(f"batch {batch_id!r} of {kind} was accepted before, with other bytes")


def checked_batch_id(batch_id: str) -> str:
    """Return the batch id unchanged.

    Raises:
        InvalidBatchIdError: it is not 1 to 200 plain characters.
    """
    if BATCH_ID.fullmatch(batch_id) is None:
        raise InvalidBatchIdError(batch_id=batch_id)
    return batch_id
