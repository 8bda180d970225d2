"""A gate before which a role waits: started early, it imports while the database is made ready.

A pipe whose writing end the supervisor alone holds. It is open once that end is closed, for every
role that is started later too; a supervisor that dies opens it, and the kernel ends its roles.
"""

from __future__ import annotations

import os


class Gate:
    """A shut gate; roles inherit `descriptor`."""

    def __init__(self) -> None:
        self.descriptor, self._bolt = os.pipe()
        self._shut = True

    def open(self) -> None:
        """Let everybody pass, from now on."""
        if self._shut:
            os.close(self._bolt)
            self._shut = False

    def close(self) -> None:
        """Open it and let go of it; no role may be started with it after that."""
        self.open()
        os.close(self.descriptor)


def await_open(descriptor: int) -> None:
    """Wait in a role until the gate is open."""
    while os.read(descriptor, 1):
        pass
    os.close(descriptor)
