"""What a snapshot has lost: segments that were erased or have expired, in words.

```
RefusedError
└── SnapshotLostError   rows of a snapshot are gone for good; names the segments and why
UnavailableError
└── RowsLostError       rows went while a job looked at them; it looks again
```
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from mlreg.registry.domain.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

ERASED, EXPIRED = "erased", "expired"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """A segment that is gone: why (`erased`, `expired`), how many rows, when, by which erasure."""

    digest: str
    cause: str
    rows: int
    at: datetime
    erasure: int | None = None

    @override
    def __str__(self) -> str:
        rows = f"{self.rows:,} row{'s' if self.rows != 1 else ''}"
        by = f" by erasure {self.erasure}" if self.erasure is not None else ""
        return f"segment {self.digest} ({rows} {self.cause}{by} at {self.at:%Y-%m-%d %H:%M} UTC)"


class SnapshotLostError(RefusedError):
    """Rows of a snapshot are gone for good, so that it cannot be read as it was frozen."""

    code = "snapshot_lost"
    hint = "Freeze the same range again; the new snapshot has the rows that are left."

    def __init__(self, *, digest: str, lost: Sequence[Lost]) -> None:
        super().__init__(f"snapshot {digest} lost {spell_lost(lost)}")
        self.lost = tuple(lost)


class RowsLostError(UnavailableError):
    """Rows that a job has read were erased, or have expired, before it could say what it found.

    What it found may name them, so it is not kept; another attempt finds what is left.
    """

    code = "rows_lost"

    def __init__(self) -> None:
        super().__init__("rows of the log were erased or expired while they were looked at")


def spell_lost(lost: Sequence[Lost]) -> str:
    """Return lost segments in a line, the first three by name."""
    shown = ", ".join(str(one) for one in lost[:_SHOWN])
    return shown + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
