"""Backtests over HTTP and from the command line: a grid replayed, ended, and what is refused."""

import json
from datetime import timedelta
from html import unescape
from types import SimpleNamespace

import pyarrow as pa
import pytest

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError, RunFailedError
from mlreg.client.wire.backtests import BacktestRequest
from mlreg.controller.api import backtests, policies
from mlreg.controller.services import backtest_work, backtesting, claims
from mlreg.registry.domain import errors as registry
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.api.test_monitor_pages import page_of, titles
from tests.automation_makers import DAY, POLICY, START, Automation, labels_of, rows_of
from tests.run_makers import executor_of_all

BACKTEST = (backtesting.KIND, backtest_work.HANDLER)
DAYS = 24
GRID = """
triggers:
  weekly: [{schedule: "0 0 * * 1"}]
  rarely: [{labelled_rows: 1000000}]
lanes:
  full: {full: {}}
  refit: {refit: {}, full: {every: 28d}}
selections:
  week: {train_window: 7d, evaluate_window: 3d}
"""


@pytest.fixture
def extra_routers():
    return (policies.router, backtests.router)


@pytest.fixture
def automation(database, store, tmp_path):
    automation = Automation(database, store, policy=POLICY)
    automation.folder = tmp_path / "work"
    automation.executor = executor_of_all()
    return automation


def log_days(automation, days=DAYS, *, labelled=True):
    drawn = [rows_of(START + number * DAY, rows=120) for number in range(days)]
    table = pa.concat_tables([table for table, _ in drawn])
    automation.clock_now = START + (days + 1) * DAY
    automation.accept("predictions", "p", table, START + days * DAY)
    if labelled:
        values = [value for _, found in drawn for value in found]
        automation.accept("labels", "l", labels_of(table, values), START + days * DAY)


def test_a_grid_is_replayed_and_told_in_words(api, client, automation, cli, tmp_path):  # noqa: F811
    log_days(automation)
    request = BacktestRequest(grid=GRID, end=START + DAYS * DAY)
    asked = client.backtests.request("flights", request)
    assert (asked.state, asked.found) == ("queued", None)
    assert automation.work(BACKTEST) == ["backtest"]
    found = client.backtests.wait(asked.number).found
    by_name = {one.name: one for one in found.policies}
    assert set(by_name) == {
        "never", "every window", "weekly / full / week", "weekly / refit / week",
        "rarely / full / week", "rarely / refit / week",
    }  # fmt: skip
    assert by_name["never"].trainings == 0
    assert by_name["rarely / full / week"].value == by_name["never"].value
    assert by_name["weekly / refit / week"].by_lane == {"refit": 2}
    assert by_name["weekly / full / week"].train_seconds > 0
    assert by_name["never"].pareto
    assert (found.metric, found.left_out) == ("log_loss", [])
    assert found.rows == 120 * found.windows
    assert found.trained <= found.asked

    said = cli("policy", "backtest", "flights", "--show", str(asked.number))
    assert "Never fired: rarely / full / week, rarely / refit / week." in said
    assert max(map(len, said.splitlines())) <= 80
    png = tmp_path / "frontier.png"
    cli("--json", "policy", "backtest", "flights", "--show", str(asked.number), "--png", str(png))
    assert png.read_bytes().startswith(b"\x89PNG")
    assert f"{found.start:%Y-%m-%d} to {found.end:%Y-%m-%d}" in cli(
        "policy", "backtests", "flights"
    )

    page = page_of(api, f"/models/flights/backtests/{asked.number}")
    assert found.answer[0] in unescape(page)
    said = titles(page)
    assert all(any(title.startswith(f"{name}: ") for title in said) for name in by_name)
    assert f'href="/models/flights/backtests/{asked.number}"' in page_of(
        api, "/models/flights/monitors"
    )


def test_it_says_how_far_it_is(api, client, automation, cli):  # noqa: F811
    """A worker tells lines; the bar of the command line is drawn from them."""
    log_days(automation, 2)
    asked = client.backtests.request("flights")
    lease = claims.claim(automation.database, "test", ["backtest"], 30.0)
    attempt = SimpleNamespace(database=automation.database, lease=lease)
    backtest_work._tell(attempt, ["1 of 8 policies: never", "2 of 8 policies: weekly"])
    seen = client.backtests.get(asked.number)
    page = page_of(api, f"/models/flights/backtests/{asked.number}")
    assert "It is running (2 of 8 policies: weekly)." in page
    page_of(api, f"/models/flights/backtests/{asked.number + 1}", 404)
    assert (seen.progress, seen.share) == ("2 of 8 policies: weekly", 0.25)
    assert "running (2 of 8 policies: weekly)" in cli(
        "policy", "backtest", "flights", "--show", str(asked.number)
    )


def test_one_that_waits_can_be_ended_and_is_listed(client, automation, cli):  # noqa: F811
    log_days(automation, 2)
    assert cli("policy", "backtests", "flights") == "flights has no backtests\n"
    asked = client.backtests.request("flights")
    ended = client.backtests.cancel(asked.number, "not today")
    assert (ended.state, ended.error) == ("cancelled", "not today")
    assert automation.work(BACKTEST) == []
    with pytest.raises(RefusedError, match=f"backtest {asked.number} was cancelled already"):
        client.backtests.cancel(asked.number)
    later = client.backtests.request("flights")
    (first, second) = json.loads(cli("--json", "policy", "backtests", "flights"))["items"]
    assert (first["number"], first["state"]) == (later.number, "queued")
    assert (second["number"], second["error"]) == (asked.number, "not today")


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("triggers: {}", "line 1: triggers"),
        ("triggers:\n  a: [{schedul: x}]", "a: triggers.0.: must have exactly one of the keys"),
        ("triggers:\n  a: [{drift: psi, above: 1, features: [snow]}]", "no feature 'snow'"),
        ("triggers:\n  a: [{labelled_rows: 5}]\nmetric: rmse", "a binary model has no rmse"),
        ("triggers:\n  a: [{labelled_rows: 5}]\nmetric: bias", "a binary model has no bias"),
        ("triggers:\n  a: [{drift: score_psi, above: 1}]", "a: trigger 'drift' cannot be replayed"),
        ("triggers:\n  a: [{labelled_rows: 5}]\nlanes: {b: {often: {}}}", "a / b: retrain.lanes"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_asked(client, automation, grid, said):
    log_days(automation, 2)
    with pytest.raises(InvalidError, match=said):
        client.backtests.request("flights", BacktestRequest(grid=grid))


def test_no_model_no_history_no_labels_one_window(client, automation):
    with pytest.raises(NotFoundError):
        client.backtests.request("trains")
    with pytest.raises(RefusedError, match="nothing was logged"):
        client.backtests.request("flights")
    with pytest.raises(NotFoundError, match="no backtest 999"):
        client.backtests.get(999)
    log_days(automation, 6, labelled=False)
    end = START + 6 * DAY
    for request, said in (
        (BacktestRequest(end=end), "no row has a label"),
        (BacktestRequest(end=START + timedelta(hours=12)), "no row has a label"),
        (BacktestRequest(start=end + 5 * DAY, end=end + 6 * DAY), "nothing was logged from"),
    ):
        asked = client.backtests.request("flights", request)
        with pytest.raises(registry.RefusedError, match=said):
            automation.work(BACKTEST)
        client.backtests.cancel(asked.number)
        with pytest.raises(RunFailedError, match="ended as cancelled"):
            client.backtests.wait(asked.number)
