"""What a backtest replays: every attempt reads the rows that the first one found."""

import pyarrow.parquet as pq
import pytest

from mlreg.controller.services import backtesting
from mlreg.controller.services.attempt import Handler
from mlreg.controller.services.backtest_rows import read_rows
from mlreg.controller.services.backtesting import Asked
from mlreg.registry.services import catalog
from tests.automation_makers import DAY, START, Automation
from tests.faults.workers import end_leases
from tests.makers import PERSON
from tests.source_makers import START as FIRST_FILE
from tests.source_makers import connections_of, raw_rows, write_days


class WorkerLostError(Exception):
    """The attempt ends here, its lease does not."""


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def ask(automation, **times):
    automation.clock_now = START + 10 * DAY
    with automation.database.writing() as session:
        model = catalog.get_model(session, "flights")
        return backtesting.request_backtest(
            session, model, Asked(**times), actor=PERSON, now=automation.clock_now
        )


def read_and_be_lost(automation):
    """Read the rows in an attempt whose worker is lost then; return them."""
    found = []

    def read(attempt):
        found.append(read_rows(attempt, automation.model, "production"))
        raise WorkerLostError

    with pytest.raises(WorkerLostError):
        automation.work((backtesting.KIND, Handler(read)))
    end_leases(automation.database)
    with automation.database.writing() as session:
        session.connection().exec_driver_sql(
            "UPDATE job SET state = 'queued' WHERE lease_token IS NOT NULL"
        )
    return found[0]


def test_rows_that_come_later_are_in_no_attempt(automation):
    for day in range(3):
        automation.log(START + day * DAY)
    ask(automation)
    frozen, table = read_and_be_lost(automation)
    assert (table.num_rows, frozen.contract is None) == (3 * 480, False)
    automation.log(START + 3 * DAY)
    again, same = read_and_be_lost(automation)
    assert again == frozen
    assert same.equals(table)


def test_of_a_source_too_and_anew_where_a_file_was_written_anew(automation, tmp_path):
    folder = tmp_path / "lake"
    paths = write_days(folder, 3)
    automation.connections = connections_of(lake={"kind": "folder", "path": str(folder)})
    automation.apply(
        f"""
model: flights
data: {{source: "{folder}/*.parquet", time: event_time, label: churned,
       features: {{temp: temperature}}, train_window: 9d, evaluate_window: 3d}}
triggers: [{{every: 1d}}]
"""
    )
    ask(automation, start=FIRST_FILE, end=FIRST_FILE + 30 * DAY)
    frozen, table = read_and_be_lost(automation)
    assert table.num_rows == 300
    pq.write_table(raw_rows(FIRST_FILE + 4 * DAY), folder / "late.parquet")
    again, same = read_and_be_lost(automation)
    assert (again, same.equals(table)) == (frozen, True)
    pq.write_table(raw_rows(FIRST_FILE, rows_a_day=50), paths[0])
    anew, other = read_and_be_lost(automation)
    assert (anew.body == frozen.body, other.num_rows) == (False, 350)
    assert read_and_be_lost(automation)[0] == anew
