"""Runs on selected rows: trained on them, judged on all others, rebuilt from the record."""

import pytest

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.services import decisions
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    log_stream,
    make_model,
    reproduced,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture
def at_work(database, tmp_path):
    log_stream(database, make_model(database), START, 31)
    clock = FixedClock(NOW)
    with worker(database, FolderStore(tmp_path / "store"), clock, tmp_path / "work"):
        yield


def selecting(form):
    windows = {"train_window": 20 * DAY, "evaluate_window": 10 * DAY, "label_delay": DAY}
    return DataRule(**windows, select=form)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    ("form", "trained"),
    [
        ({"reservoir": 1_500}, 1_500),
        pytest.param({"half_life": "4d"}, 4_000, marks=pytest.mark.nightly),
        pytest.param({"seasonal": "7d", "width": "1d"}, 4_000, marks=pytest.mark.nightly),
        pytest.param({"stratified": ["carrier"], "most": 500}, 1_000, marks=pytest.mark.nightly),
    ],
)
def test_a_selected_run_trains_on_its_rows_and_is_judged_on_all(database, form, trained):
    run = await_end(database, ask(database, now=NOW, data=selecting(form)))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    assert any(line.startswith("selects ") for line in lines)
    with database.reading() as session:
        made = catalog.get_version(session, catalog.get_model(session, "flights"), 1)
        decision = decisions.get_decision(session, run.decision_id)
    assert made.metrics["train_rows"] == pytest.approx(trained, abs=1)
    assert made.train_end == NOW - DAY - 10 * DAY
    assert decision.evidence["rows"] == 10 * 200
    assert made.metrics["holdout_rows"] == decision.evidence["rows"]
    finding = reproduced(database, NOW, 1)
    assert finding["outcome"] == "identical", finding
