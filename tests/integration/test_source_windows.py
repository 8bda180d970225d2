"""Windows of a model that logs nothing: they are read from the source that its policy names."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.controller.domain.windows import DAY, HOUR
from mlreg.controller.services import source_windows
from mlreg.controller.store import tables
from tests.automation_makers import START, Automation
from tests.source_makers import connections_of, raw_rows

POLICY = """
model: flights
data:
  source: {folder}/*.parquet
  time: {time}
  label: churned
  features: {{temp: temperature}}
  train_window: 20d
  evaluate_window: 5d
  label_delay: 1d
triggers: [{{drift: wasserstein, above: 0.5, windows: 1}}]
"""
WORK = (source_windows.KIND, source_windows.HANDLER)


class Sourced(Automation):
    """A deployment whose rows are in a lake."""

    def __init__(self, database, store, lake, time="event_time"):
        super().__init__(database, store, policy=None)
        self.connections = connections_of(lake={"kind": "folder", "path": str(lake)})
        self.lake = lake
        self.apply(POLICY.format(folder=lake, time=time))

    def work(self, *extra):
        return super().work(WORK, *extra)

    def load(self, day, name="", shift=0.0, **options):
        rows = raw_rows(day, **{"rows_a_day": 480, **options})
        place = rows.schema.get_field_index("temperature")
        moved = pa.array(rows["temperature"].to_numpy() + shift)
        rows = rows.set_column(place, "temperature", moved)
        pq.write_table(rows, self.lake / f"{day:%Y%m%d}{name}.parquet")


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


def test_windows_of_a_source_drift_and_fire(database, store, lake):
    automation = Sourced(database, store, lake)
    automation.load(START)
    automation.load(START + DAY, shift=8.0)
    assert automation.pass_to(START + DAY) == []
    assert automation.readings("rows") == [(START, "final", 480.0)]
    assert automation.readings("source_rows") == [(START, "final", 480.0)]
    assert automation.readings("wasserstein", "temp")[0][2] < 0.2
    assert automation.states("score_mean") == [(START, "empty")]
    (fired,) = automation.pass_to(START + 2 * DAY)
    assert fired.triggers == ("drift",)
    assert automation.readings("wasserstein", "temp")[1][2] == pytest.approx(1.0, abs=0.2)


def test_what_is_loaded_late_is_read_once_the_window_is_mature(database, store, lake):
    automation = Sourced(database, store, lake)
    automation.load(START, rows_a_day=240)
    automation.pass_to(START + DAY)
    assert automation.value("rows", START) == 240.0
    automation.load(START, "-late", seed=1)
    automation.load(START + DAY)
    automation.pass_to(START + 2 * DAY)
    assert automation.value("source_rows", START) == 720.0
    assert automation.value("rows", START) == 720.0
    assert automation.value("rows", START + DAY) == 480.0


def test_a_source_that_cannot_be_read_says_why(database, store, lake):
    automation = Sourced(database, store, lake, time="when")
    automation.load(START)
    automation.pass_to(START + DAY)
    automation.load(START + DAY)
    automation.pass_to(START + 2 * DAY)
    assert automation.states("rows") == [(START, "empty"), (START + DAY, "empty")]
    first = next(one for one in automation.all(tables.Reading) if one.monitor == "source_rows")
    assert (first.state, first.verdict) == ("empty", "unusual")
    assert "when" in first.evidence["because"]
    (alert,) = automation.all(tables.Alert)
    assert (alert.kind, alert.state, alert.culprits) == ("volume", "open", ["source_rows"])


def test_infinite_values_of_a_source_are_named(database, store, lake):
    automation = Sourced(database, store, lake)
    automation.load(START, shift=float("inf"))
    automation.pass_to(START + DAY)
    first = next(one for one in automation.all(tables.Reading) if one.monitor == "source_rows")
    assert "temperature" in first.evidence["because"]
    assert "infinite" in first.evidence["because"]


def test_the_log_speaks_where_there_is_one(database, store, lake):
    automation = Sourced(database, store, lake)
    automation.load(START, shift=8.0)
    automation.log(START)
    automation.pass_to(START + DAY + HOUR)
    assert automation.readings("source_rows") == []
    assert automation.readings("wasserstein", "temp")[0][2] < 0.2
