"""What the triggers of time share: each judges its own due times, by one rule of catching up."""

from __future__ import annotations

from abc import abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from mlreg.controller.domain.catching_up import Passed, due_of, enabled_spans, find_due
from mlreg.controller.domain.triggers import Finding, Trigger, View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlreg.controller.domain.catching_up import CatchUp


class TimedTrigger(Trigger):
    """Holds at due times of its own; `catch_up` says what becomes of those that passed unseen."""

    momentary: ClassVar[bool] = True
    recurs: ClassVar[bool] = True

    if TYPE_CHECKING:
        catch_up: CatchUp  # each kind declares it, behind the key that names the kind

    @override
    @abstractmethod
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""

    @abstractmethod
    def newest_first(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the due times in (after, until], the newest first."""

    @property
    @abstractmethod
    def said(self) -> dict[str, object]:
        """What the policy says of its times, for the evidence."""

    @override
    def due_by(self, after: datetime, until: datetime) -> datetime | None:
        """Return the due time in (after, until] to be judged at next."""
        return due_of(self.newest_first(after, until), self.catch_up)

    @property
    @override
    def in_order(self) -> bool:
        """Whether each due time is judged on its own."""
        return self.catch_up == "all"

    @override
    def judge(self, view: View) -> Finding:
        """Say whether a due time lies after the previous moment and not after this one."""
        span = (view.previous, view.now)
        spans = enabled_spans(span, view.disabled, in_order=self.in_order)
        passed = Passed.of(chain.from_iterable(self.newest_first(*one) for one in reversed(spans)))
        if passed is None:
            due = f"{self.next_due(view.now):%Y-%m-%d %H:%M} UTC"
            return Finding.not_held(f"next due {due}", missing=f"its time, {due}")
        return find_due(passed, view, self.catch_up, self.said)
