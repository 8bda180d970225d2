"""The edge of a request, a tick, a job, a thread: where an error ends that nobody foresaw.

What always holds: this is the one place that stops errors of any kind; each is told, to whoever the
edge was made for, and none is lost. What ends the process (`KeyboardInterrupt`, `SystemExit`) goes
through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Edge:
    """Stops whatever goes wrong in its block, and tells it; what comes after the block goes on.

    ```python
    while not stop.wait(1.0):
        with Edge(told):
            refresh()
    ```
    """

    __slots__ = ("_but", "_told")

    def __init__(
        self, told: Callable[[Exception], object], *, but: tuple[type[Exception], ...] = ()
    ) -> None:
        """Prepare.

        Args:
            told: called with the error; it may raise another, as which the error then goes on.
            but: errors that are not stopped here.
        """
        self._told = told
        self._but = but

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool:
        """Tell what ended the block, if an error did."""
        if not isinstance(error, Exception) or isinstance(error, self._but):
            return False
        self._told(error)
        return True
