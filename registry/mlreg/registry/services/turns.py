"""The turns of a thread that has to go on: whatever one of them meets, the next is taken.

What always holds: what is to be expected of servers is a line in the log; anything else is a bug,
and is told with its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mlreg.client.edge import Edge
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from logging import Logger


def turn(log: Logger, failure: str) -> Edge:
    """Return the edge of one turn.

    Args:
        log: of the thread's module.
        failure: what it means that the turn failed, as the log says it.
    """

    def tell(error: Exception) -> None:
        if isinstance(error, RegistryError | SQLAlchemyError):
            log.warning("%s: %s", failure, str(error).partition("\n")[0])
        else:
            log.error("%s, by a bug", failure, exc_info=error)

    return Edge(tell)
