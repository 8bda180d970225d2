"""Pages of monitors, features and explanations: what they show, where they lead, whom they tell."""

import re
from html import unescape
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from mlreg.client.wire.explanations import ExplainRequest
from mlreg.controller.api import explanations, monitors, policies
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.store.readings import write_readings
from mlreg.controller.store.tables import Alert
from tests.api.test_doors import call
from tests.api.test_explanations import EXPLAIN, automation, log_day  # noqa: F401 - a fixture
from tests.automation_makers import DAY, HOUR, START, Automation, labels_of, rows_of

SUBJECTS = ("temp", "hour", "carrier", "rain", "score")


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, explanations.router)


@pytest.fixture
def watched(database, store):
    """Seventeen quiet days with labels, then two on which temp drifts."""
    found = Automation(database, store)
    for number in range(19):
        day = START + number * DAY
        table, values = rows_of(day, rows=240, seed=number)
        if number > 16:
            warmer = pa.array(np.asarray(table["temp"]) + 12.0)
            table = table.set_column(table.column_names.index("temp"), "temp", warmer)
        found.accept("predictions", f"p{number}", table, day + 23 * HOUR)
        found.accept("labels", f"l{number}", labels_of(table, values), day + 23 * HOUR)
    found.pass_to(START + 19 * DAY + HOUR)
    return found


def page_of(api, path, status=200, token=None):
    found, headers, body = call(api, "GET", path, token=token or api.token)
    assert found == status, (path, body[:300])
    assert "script" not in headers["content-security-policy"].replace("default-src", "")
    text = body.decode()
    assert "<script" not in text
    assert " style=" not in text
    return text


def titles(page):
    return [unescape(one) for one in re.findall(r"<title>([^<]*)</title>", page)]


@pytest.mark.usefixtures("watched")
def test_the_page_of_a_model_leads_to_its_monitors_and_they_to_every_feature(api):
    assert '<a href="/models/flights/monitors">monitors</a>' in page_of(api, "/models/flights")
    page = page_of(api, "/models/flights/monitors")
    paths = {unescape(one) for one in re.findall(r'href="(/models/flights/monitors/[^"]+)"', page)}
    assert {re.match(r".*/monitors/(\w+)", one)[1] for one in paths} == set(SUBJECTS)
    for path in sorted(paths)[::9]:
        assert "rows, beside" in page_of(api, path)


@pytest.mark.usefixtures("watched")
def test_drift_is_drawn_by_feature_and_window_and_said_as_text(api):
    page = page_of(api, "/models/flights/monitors")
    said = [one for one in titles(page) if one.startswith("temp, ")]
    assert len(said) == 19
    assert said[-1].startswith("temp, 2013-07-19: psi ")
    assert [one.endswith(", unusual") for one in said] == [False] * 17 + [True] * 2
    cells = re.findall(r'class="cell (\w+)( unusual)?"', page)
    assert cells.count(("h4", " unusual")) >= 2
    assert page.count('class="dot"') == page.count(' unusual" x="')  # a shape beside the colour
    names = re.findall(r'class="name"[^>]*>([^<]+)<', page)
    assert names[0] == "temp"
    table = page[page.index("As a table") :]
    psi = said[-1].removesuffix(", unusual").rpartition(" ")[2]
    assert f'<td class="number">{psi}</td>' in table
    weeks = titles(page_of(api, "/models/flights/monitors?width=week&size=ks"))
    assert any(one.startswith("temp, week of 2013-07-") for one in weeks)
    hours = page_of(api, "/models/flights/monitors?width=hour&size=wasserstein")
    assert any("temp, 2013-07-19 23:00: wasserstein" in one for one in titles(hours))
    assert " unusual, " not in hours  # verdicts are of days: an hour is judged by nobody


def test_performance_has_a_band_and_marks_of_what_is_not_final(api, watched):
    place = (watched.model.id, "production")
    last = START + 18 * DAY
    early = [
        WindowReading(
            "auc", "", last, last + DAY, 0.71, 100, "immature", low=0.6, high=0.8
        ),
        WindowReading("estimated_log_loss", "", last, last + DAY, 0.55, 240, "estimate",
                      low=0.5, high=0.6),
        WindowReading("log_loss", "", last, last + DAY, None, 0, "immature"),
        WindowReading("auc", "", last - 2 * DAY, last - DAY, None, 0, "outage"),
        WindowReading("business:revenue", "", last, last + DAY, 1250.0, 3),
    ]  # fmt: skip
    with watched.database.writing() as session:
        write_readings(session, place, early, now=last)
    page = page_of(api, "/models/flights/monitors")
    for text in ("<strong>auc</strong>", "<strong>log loss</strong>", "<strong>rows</strong>"):
        assert text in page
    assert "<strong>business:revenue</strong> 1250" in page
    assert page.count('class="band"') >= 4
    assert 'class="mark immature"' in page
    assert 'class="mark estimate"' in page
    assert "2013-07-19 00:00, 0.71, 0.6 to 0.8, immature, 100 rows" in titles(page)
    assert "2013-07-19 00:00, 0.55, 0.5 to 0.6, estimate, 240 rows" in titles(page)
    assert '<rect class="down"' in page
    assert page.count("<td>0.6 to 0.8</td>") == 1


def test_open_alerts_stand_on_top_of_their_environment(api, watched):
    with watched.database.writing() as session:
        for environment, state in (("production", "open"), ("production", "resolved")):
            session.add(
                Alert(
                    model_id=watched.model.id, environment=environment, kind="invariant",
                    subject=state, title=f"an alert that is {state}", severity="critical",
                    state=state, culprits=["temp", "no feature"], memory={}, created_at=START,
                    opened_at=START,
                )
            )  # fmt: skip
    page = page_of(api, "/models/flights/monitors")
    assert "an alert that is open" in page
    assert "an alert that is resolved" not in page
    assert "no feature" in page
    assert "monitors/no" not in page
    assert "an alert that is open" not in page_of(api, "/models/flights/monitors?environment=other")
    for path in ("/", "/models/flights"):
        assert "2 open alerts<" in page_of(api, path)  # one is of the stream
        assert '<span class="sign good">ok</span>' not in page_of(api, path)


@pytest.mark.usefixtures("watched")
def test_a_feature_beside_the_training_rows(api):
    page = page_of(api, "/models/flights/monitors/temp?window=2013-07-19T00:00:00Z")
    assert "2013-07-19 00:00 UTC to 2013-07-20 00:00 UTC" in page
    assert "240 rows, beside 5000 that the champion was trained on" in page
    bars = [one for one in titles(page) if " of the window, " in one]
    shares = [float(re.search(r": ([\d.]+)% of", one)[1]) for one in bars]
    assert sum(shares) == pytest.approx(100.0, abs=0.2)
    assert max(shares[len(shares) // 2 :]) > 3 * max(shares[: len(shares) // 2])
    for name in ("psi", "wasserstein", "null share", "default share"):
        assert f"<strong>{name}</strong>" in page
    assert 'class="mark final unusual"' in page
    before = unescape(re.search(r'href="([^"]+)">. the day before', page)[1])
    assert "2013-07-18 00:00 UTC to" in page_of(api, before)
    empty = page_of(api, "/models/flights/monitors/temp?window=2013-01-01T00:00:00Z&width=week")
    assert "Nothing was logged in this week" in empty
    assert "were scored before the champion came" in page_of(api, "/models/flights/monitors/score")
    carrier = titles(page_of(api, "/models/flights/monitors/carrier?width=hour"))
    assert any(one.startswith("AA: ") for one in carrier)


@pytest.mark.usefixtures("watched")
def test_what_is_not_there_is_the_page_of_that(api):
    for path in (
        "/models/trains/monitors",
        "/models/flights/monitors/snow",
        f"/models/flights/monitors/{quote('a/../../b', safe='')}",
        "/models/trains/monitors/temp",
        "/models/flights/explanations/999",
        "/models/trains/explanations/1",
    ):
        assert "Not found" in page_of(api, path, 404), path


def test_a_model_of_which_nothing_is_known_has_a_page(api, database, store):
    Automation(database, store, policy=None, promoted=False)
    page = page_of(api, "/models/flights/monitors")
    for text in ("both a score and a label", "There is nothing to compare with", "None."):
        assert text in page
    assert "no champion in production" in page_of(api, "/models/flights/monitors/temp", 404)


def test_an_explanation_has_a_page_and_its_rows_only_for_who_may_read_rows(
    api,
    client,
    automation,  # noqa: F811 - the fixture
):
    log_day(automation, START, rows=2_400)
    asked = client.explanations.request("flights", ExplainRequest(start=START, show=["temp"]))
    path = f"/models/flights/explanations/{asked.number}"
    assert "It is queued" in page_of(api, path)
    automation.work(EXPLAIN)
    found = client.explanations.get(asked.number).found
    page = page_of(api, path)
    assert "wrong</span>" in page
    assert "Contributions" in page
    assert f"{found.looked_at} slices of 50 rows or more" in page
    for row in found.worst:
        assert row.prediction_id in page
        assert f"temp = {row.features['temp']}" in page
    links = {unescape(one) for one in re.findall(r'href="(/models/flights/monitors/[^"]+)"', page)}
    assert links
    for link in links:
        page_of(api, link)
    listed = page_of(api, "/models/flights/monitors")
    assert f'<a href="{path}">{asked.number}</a>' in listed
    viewer = client.tokens.create("eve", role="viewer").token
    seen = page_of(api, path, token=viewer)
    assert "data.read" in seen
    assert found.worst[0].prediction_id not in seen
    assert "temp = " not in seen
