"""Readings with intervals and marks, and business metrics, over HTTP and from the command line."""

import json

import pytest
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.controller.api import clock, monitors
from mlreg.controller.services import business
from mlreg.registry.store import tables
from tests.api.test_automation import cli as cli  # noqa: PLC0414 - a fixture is shared by its name
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation
from tests.makers import PERSON


@pytest.fixture
def extra_routers():
    return (monitors.router, clock.router)


@pytest.fixture
def automation(database, store):
    business = "monitors: {business: {revenue: sum}}\n"
    return Automation(database, store, policy=POLICY + business)


def pass_to(automation, moment):
    """Let time pass, on the clock that the API reads too."""
    with automation.database.writing() as session:
        session.exec(select(tables.Installation)).one().virtual_now = moment
    automation.pass_to(moment)


def post(client, value, *, name="revenue", at=START + HOUR, **fields):
    return client.monitors.post_metric("flights", name, time=at, value=value, **fields)


@pytest.mark.usefixtures("automation")
class TestBusinessMetrics:
    def values(self, client, name="revenue"):
        found = client.monitors.readings("flights", monitor=f"business:{name}")
        return [(one.start, one.value, one.rows) for one in found]

    def test_values_of_a_window_are_summed_as_the_policy_says(self, client):
        assert post(client, 10.0).monitor == "business:revenue"
        post(client, 5.0, at=START + 2 * HOUR)
        post(client, 1.0, at=START + DAY)
        assert self.values(client) == [(START, 15.0, 2), (START + DAY, 1.0, 1)]

    def test_others_are_averaged(self, client):
        post(client, 10.0, name="basket")
        post(client, 5.0, name="basket", at=START + 2 * HOUR)
        assert self.values(client, "basket") == [(START, 7.5, 2)]

    def test_a_value_counts_once(self, client):
        assert not post(client, 10.0).duplicate
        assert post(client, 10.0).duplicate
        assert not post(client, 10.0, key="order 7").duplicate
        assert self.values(client) == [(START, 20.0, 2)]

    def test_another_value_of_the_same_key_is_refused(self, client):
        post(client, 10.0)
        with pytest.raises(RefusedError, match="has the value 10"):
            post(client, 11.0)
        assert self.values(client) == [(START, 10.0, 1)]

    def test_the_reading_is_final_once_the_window_has_closed(self, automation):
        def keep(value, at, now):
            with automation.database.writing() as session:
                model = session.get_one(tables.Model, automation.model.id)
                posted = business.Posted("revenue", at, value)
                return business.post_value(
                    session, model, "production", posted, actor=PERSON, now=now
                )

        assert keep(10.0, START + HOUR, START + HOUR)
        assert automation.readings("business:revenue") == [(START, "immature", 10.0)]
        automation.pass_to(START + DAY)
        assert automation.readings("business:revenue") == [(START, "final", 10.0)]
        assert keep(1.0, START + 2 * HOUR, START + 2 * DAY)
        assert automation.readings("business:revenue") == [(START, "final", 11.0)]

    def test_what_is_none_is_refused(self, client):
        with pytest.raises(InvalidError, match="future"):
            post(client, 1.0, at=START + 90 * 366 * DAY)
        with pytest.raises(NotFoundError):
            post(client, 1.0, environment="nowhere")
        with pytest.raises(NotFoundError):
            client.monitors.post_metric("unknown", "revenue", time=START, value=1.0)

    def test_from_the_command_line(self, cli):
        said = cli("monitor", "post", "flights", "revenue", "12.5", "--at", "2013-07-01T01:00")
        assert said == "business:revenue of 2013-07-01 01:00 UTC is kept\n"
        again = cli("monitor", "post", "flights", "revenue", "12.5", "--at", "2013-07-01T01:00")
        assert "was kept before" in again
        assert "12.5" in cli("monitor", "show", "flights", "--monitor", "business:revenue")
        cli("monitor", "post", "flights", "revenue", "13", "--at", "2013-07-01T01:00", code=1)
        cli("monitor", "post", "flights", "revenue", "13", "--at", "noon", code=2)


def test_marks_and_intervals_on_the_command_line(cli, automation):
    for number in range(5):
        automation.log(START + number * DAY)
        pass_to(automation, START + (number + 1) * DAY)
    shown = cli("monitor", "show", "flights", "--monitor", "auc")
    lines = shown.splitlines()
    assert any(line.startswith("~ labels are awaited") for line in lines)
    (first,) = [line for line in lines if line.startswith("2013-07-01")]
    assert "[0." in first
    assert all(len(line) <= 80 for line in lines)
    estimate = cli("monitor", "show", "flights", "--monitor", "estimated_auc")
    assert "≈0." in estimate
    assert "blind to a change" in estimate
    overview = cli("monitor", "show", "flights")
    assert "~0." in overview
    found = json.loads(cli("--json", "monitor", "show", "flights", "--monitor", "auc"))["items"]
    final = [one for one in found if one["state"] == "final"]
    assert all(one["low"] < one["value"] < one["high"] for one in final)
    assert {"final", "immature"} <= {one["state"] for one in found}
