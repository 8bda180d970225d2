"""Fault 21, the triggers' half: no rows, empty windows, one class, NaN: hold, never fire."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.store import tables
from tests.automation_makers import DAY, HOUR, START, Automation, labels_of, rows_of

EAGER = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {drift: psi, above: 0.000001, windows: 1, min_rows: 1}
  - {drift: jensen_shannon, above: 0.000001, windows: 1, min_rows: 1}
  - {drift: wasserstein, above: 0.000001, windows: 1, min_rows: 1}
  - {labelled_rows: 1}
  - {performance: auc, drop: 0.000001, min_rows: 1}
  - {performance: log_loss, drop: 0.000001, min_rows: 1}
guards: [{metric: log_loss, worse_than_champion: 0.000001}]
"""


def firings(automation, days):
    found = []
    for number in range(1, days + 1):
        found += automation.pass_to(START + number * DAY)
    return found


def test_no_rows_ever(database, store):
    automation = Automation(database, store, policy=EAGER)
    assert firings(automation, 6) == []
    assert automation.all(tables.Run) == []


def test_no_champion_and_so_no_reference(database, store):
    automation = Automation(database, store, policy=EAGER, promoted=False)
    automation.log(START)
    automation.pass_to(START + DAY)
    assert automation.all(tables.Firing) == []


def test_rows_whose_features_are_all_missing(database, store):
    """Drift of nothing but nulls is an outage of the feed or no drift of that feature's values."""
    automation = Automation(database, store, policy=EAGER.replace("windows: 1", "windows: 2"))
    table, _ = rows_of(START)
    empty = table.set_column(
        table.schema.get_field_index("temp"), "temp", pa.nulls(table.num_rows, pa.float64())
    )
    automation.accept("predictions", "nulls", empty, START + 23 * HOUR)
    automation.pass_to(START + DAY)
    assert [state for _, state in automation.states("psi")] == ["outage"]
    assert automation.all(tables.Firing) == []


ONLY_PERFORMANCE = EAGER.replace(
    EAGER[EAGER.index("  - {drift: psi") : EAGER.index("  - {performance: auc")], ""
)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_auc_and_drops_nothing(database, store, label):
    policy = ONLY_PERFORMANCE.replace(
        "  - {performance: log_loss, drop: 0.000001, min_rows: 1}\n", ""
    )
    automation = Automation(database, store, policy=policy)
    for number in range(5):
        day = START + number * DAY
        table, values = rows_of(day, quality=1.0 - number / 5)
        automation.accept("predictions", f"p{number}", table, day + 23 * HOUR)
        labels = labels_of(table, np.full_like(values, label))
        automation.accept("labels", f"l{number}", labels, day + 23 * HOUR)
        assert automation.pass_to(day + DAY) == []
    states = {state for start, state in automation.states("auc") if start >= START}
    assert states <= {"empty", "immature"}


def test_predictions_without_scores_are_not_judged(database, store):
    automation = Automation(database, store, policy=ONLY_PERFORMANCE)
    for number in range(5):
        day = START + number * DAY
        table, values = rows_of(day)
        place = table.schema.get_field_index("score")
        table = table.set_column(place, "score", pa.nulls(table.num_rows, pa.float64()))
        automation.accept("predictions", f"p{number}", table, day + 23 * HOUR)
        automation.accept("labels", f"l{number}", labels_of(table, values), day + 23 * HOUR)
        assert automation.pass_to(day + DAY) == []


def test_predictions_without_any_label_are_no_volume_and_no_performance(database, store):
    policy = ONLY_PERFORMANCE.replace("triggers:\n", "triggers:\n  - {labelled_rows: 1}\n")
    automation = Automation(database, store, policy=policy)
    for number in range(4):
        automation.log(START + number * DAY, labelled=False)
        assert automation.pass_to(START + (number + 1) * DAY) == []
    assert automation.value("labelled", START) == 0.0
