"""Links from one page of the controller to another; every part of a path is quoted."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode


def monitors_link(model: str, **chosen: str) -> str:
    """Return the link to the monitors of a model."""
    return f"/models/{quote(model, safe='')}/monitors{_query(chosen)}"


def feature_link(
    model: str, feature: str, start: datetime | None = None, width: str = "day", **chosen: str
) -> str:
    """Return the link to one feature of a model, in the window that begins at `start`."""
    window = {} if start is None else {"window": start.isoformat(), "width": width}
    place = f"/models/{quote(model, safe='')}/monitors/{quote(feature, safe='')}"
    return f"{place}{_query({**window, **chosen})}"


def explanation_link(model: str, number: int) -> str:
    """Return the link to an explanation."""
    return f"/models/{quote(model, safe='')}/explanations/{number}"


def backtest_link(model: str, number: int) -> str:
    """Return the link to a backtest."""
    return f"/models/{quote(model, safe='')}/backtests/{number}"


def _query(chosen: dict[str, str]) -> str:
    return f"?{urlencode(chosen)}" if chosen else ""
