"""What was written by a newer mlreg: left as it is, for a process that knows it."""

from __future__ import annotations

from mlreg.registry.domain.errors import UnavailableError


class TooNewError(UnavailableError):
    """This process does not know what a stored document says, though another one wrote it.

    Whatever is stored was checked when it was written. So who cannot read it is older than who
    wrote it (or lacks a plugin), and leaves it to others: that is no failure of the work.
    """

    code = "too_new"
    hint = "Upgrade this process: during a rolling upgrade, the new ones take such work."

    def __init__(self, *, what: str, problem: str) -> None:
        super().__init__(f"{what} says what this mlreg does not know: {problem}")
