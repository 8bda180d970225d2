"""Windows to be measured with their labels, and the jobs by which that is asked for.

What always holds: a mature window is asked for by one key, whoever asks; younger windows that are
looked at as another closes go with its job where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.maturity import look_ages
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.jobs import JobRequest
from mlreg.controller.services.mature_windows import KIND, measure_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.data_rule import DataRule

    Place = tuple[int, str]
    """A model's id and an environment."""


@dataclass(frozen=True, slots=True)
class Look:
    """One window to be measured.

    Attributes:
        labels_until: labels that came later do not count.
        mature: when the window is mature.
        again: it was measured before, and labels came since.
    """

    window: Interval
    labels_until: datetime
    mature: datetime
    again: bool = False

    @property
    def is_mature(self) -> bool:
        """Whether all labels that are waited for may be there."""
        return self.labels_until >= self.mature

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "labels_until": self.labels_until.isoformat(),
            "mature": self.mature.isoformat(),
            "again": self.again,
        }

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> Look:
        """Read what `to_json` wrote."""
        start, end, until, mature = (
            datetime.fromisoformat(form[name])
            for name in ("start", "end", "labels_until", "mature")
        )
        return cls(Interval(start, end), until, mature, bool(form.get("again")))


def looks_beside(data: DataRule, closed: Interval) -> list[Look]:
    """Return the younger windows to be looked at as this one closes."""
    delay, width = (int(one.total_seconds()) for one in (data.label_delay, data.window))
    ages = [timedelta(seconds=age) for age in look_ages(delay, width)]
    windows = [Interval(closed.start - age, closed.end - age) for age in ages]
    return [Look(one, closed.end, one.end + data.label_delay) for one in windows]


def of_mature(
    place: Place, data: DataRule, window: Interval, also: Sequence[Look] = ()
) -> JobRequest:
    """Return the job that measures a matured window, and looks at younger ones."""
    mature = window.end + data.label_delay
    return job_of(place, [Look(window, mature, mature), *also], measure_key(place, window))


def of_young(place: Place, looks: Sequence[Look]) -> JobRequest:
    """Return the job that looks at young windows."""
    key = f"look:{place[0]}:{place[1]}:{looks[0].labels_until.isoformat()}"
    return job_of(place, looks, key)


def job_of(place: Place, looks: Sequence[Look], key: str) -> JobRequest:
    """Return the job of this key that measures some windows."""
    payload = {
        "model_id": place[0],
        "environment": place[1],
        "looks": [look.to_json() for look in looks],
    }
    return JobRequest(KIND, payload, dedupe_key=key, priority=20)
