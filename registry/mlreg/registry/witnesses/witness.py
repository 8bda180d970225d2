"""What every witness can do."""

from __future__ import annotations

from typing import Protocol


class Witness(Protocol):
    """Keeps checkpoints; promises that a note it has taken survives this process and the database.

    Attributes:
        where: names it in what the chore reports.
    """

    where: str

    def keep(self, note: str, size: int) -> None:
        """Keep a signed checkpoint of `size` entries; the same one may come twice.

        Raises:
            UnavailableError: it is not kept.
        """
        ...
