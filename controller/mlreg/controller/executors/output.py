"""What a child prints, as lines that are safe to store: bounded in length and in number of bytes.

What always holds: whatever is fed, memory and the sum of all lines stay within the bounds; no line
has a control character (PostgreSQL takes no NUL, a terminal should take no escape).
"""

from __future__ import annotations

from mlreg.controller.domain.plain_text import plain_text

MAX_LINE_BYTES = 4_000


class LineCollector:
    """Cuts a stream of bytes into lines, and drops what is beyond the bound."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._dropped = 0
        self._partial = b""
        self._lines: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        kept = chunk[: self._left]
        self._left -= len(kept)
        self._dropped += len(chunk) - len(kept)
        *whole, self._partial = (self._partial + kept).split(b"\n")
        for line in whole:
            self._cut(line)
        while len(self._partial) > MAX_LINE_BYTES:
            self._cut(self._partial[:MAX_LINE_BYTES])
            self._partial = self._partial[MAX_LINE_BYTES:]

    @property
    def dropped(self) -> int:
        """How many bytes were beyond the bound."""
        return self._dropped

    def take(self) -> list[str]:
        """Return the whole lines since the last call."""
        lines, self._lines = self._lines, []
        return lines

    def finish(self) -> list[str]:
        """Return the last lines, with a word on what was dropped."""
        if self._partial:
            self._cut(self._partial)
            self._partial = b""
        if self._dropped:
            self._lines.append(f"[{self._dropped} more bytes of output were dropped]")
        return self.take()

    def _cut(self, line: bytes) -> None:
        for at in range(0, max(len(line), 1), MAX_LINE_BYTES):
            piece = line[at : at + MAX_LINE_BYTES].decode("utf-8", errors="replace")
            self._lines.append(plain_text(piece))
