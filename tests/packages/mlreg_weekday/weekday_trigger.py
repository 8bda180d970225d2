"""A trigger of somebody else's: `{weekday: mon}` holds at every look on that day (UTC)."""

from typing import ClassVar, Literal

from mlreg.controller.domain.triggers import Finding, Trigger

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WeekdayTrigger(Trigger):
    """Holds on one day of the week."""

    kind: ClassVar[str] = "weekday"

    weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    def judge(self, view):
        """Say whether it is that day."""
        today = DAYS[view.now.weekday()]
        return Finding(today == self.weekday, f"it is {today}", missing=self.weekday)
