"""Which controllers and workers are there, as people ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.store import members as rows

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from mlreg.registry.store.database import ReadSession


@dataclass(frozen=True, slots=True)
class MemberView:
    """A controller or a worker.

    Attributes:
        there: whether it still says so; who does not is remembered for an hour.
        epoch: of the controller that leads.
        labels: of a worker.
        doing: kind and number of the jobs that a worker does.
    """

    name: str
    host: str
    version: str
    since: datetime
    seen_at: datetime
    there: bool
    epoch: int | None
    labels: list[str]
    doing: list[str]

    @property
    def leads(self) -> bool:
        """Whether it is the controller that ticks."""
        return self.epoch is not None


def list_controllers(session: ReadSession) -> list[MemberView]:
    """Return the controllers, those that are there first."""
    return [_view(row) for row in rows.list_members(session, "controller")]


def list_workers(session: ReadSession) -> list[MemberView]:
    """Return the workers, those that are there first."""
    return [_view(row) for row in rows.list_members(session, "worker")]


def _view(row: RowMapping) -> MemberView:
    return MemberView(**{name: row[name] for name in MemberView.__slots__})
