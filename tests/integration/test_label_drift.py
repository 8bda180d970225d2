"""Label drift and concept drift of measured windows."""

import numpy as np
import pytest

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.hourly_loss import hourly_losses
from mlreg.controller.domain.labels import (
    class_shares,
    label_bins,
    label_profile,
    mean_label,
)
from mlreg.controller.domain.profile import merge
from mlreg.controller.services.label_drift import training_labels
from mlreg.controller.store.tables import ReferenceProfile
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.tables import Model
from tests.automation_makers import DAY, POLICY, START, Automation

CONTRACT = FeatureContract.from_json([{"name": "x", "dtype": "float"}])


def bins_of(labels):
    return make_bins({"x": np.arange(10.0), "label": labels}, CONTRACT)


def test_profiles_of_labels_merge():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500).astype(float)
    labels[:50] = np.nan
    bins = label_bins(("a", "b", "c"), bins_of(labels))
    whole = label_profile(labels, bins)
    merged = merge(label_profile(labels[:200], bins), label_profile(labels[200:], bins))
    assert np.array_equal(whole.counts, merged.counts)
    assert whole.rows == merged.rows == 450
    assert sum(class_shares(whole).values()) == pytest.approx(1.0)
    assert mean_label(whole) is None
    numbers = rng.normal(50.0, 9.0, 500)
    whole = label_profile(numbers, label_bins((), bins_of(numbers)))
    assert mean_label(whole) == pytest.approx(numbers.mean())
    assert class_shares(whole) == {}
    nothing = label_profile(np.full(3, np.nan), label_bins(("no", "yes"), bins_of(labels)))
    assert (nothing.rows, mean_label(nothing)) == (0, None)


def test_losses_by_hour():
    times = np.array(["2024-01-01T00:10", "2024-01-01T00:50", "2024-01-01T02:00"], "datetime64[us]")
    labels, weights = np.array([1.0, 0.0, 1.0]), np.array([1.0, 3.0, 0.0])
    scores = np.array([0.5, 0.2, 0.9])
    (hour,) = hourly_losses("binary", labels, scores, weights, times)
    assert hour.number == 473352
    assert hour.loss == pytest.approx((-np.log(0.5) - 3 * np.log(0.8)) / 4)
    numbers = hourly_losses("regression", labels, scores, np.ones(3), times)
    assert [one.loss for one in numbers] == pytest.approx([0.35, 0.1])
    classes = np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]])
    many = hourly_losses("multiclass", labels, classes, np.ones(3), times)
    assert many[1].loss == pytest.approx(-np.log(0.5))
    assert hourly_losses("ranking", labels, scores, weights, times) == []
    groups = np.zeros(3, dtype=np.intp)
    (order,) = hourly_losses("ranking", np.array([1.0, 0.0, 0.0]), scores, weights, times, groups)
    assert (order.number, order.weight) == (hour.number, pytest.approx(np.mean(weights)))


def run_days(automation, days):
    """Log a day for each set of options, and let its labels mature."""
    for number, options in enumerate(days):
        automation.log(START + number * DAY, **options)
        automation.pass_to(START + (number + 1) * DAY)
    automation.pass_to(START + (len(days) + 1) * DAY)


def test_labels_are_compared_with_those_of_the_training(database, store):
    automation = Automation(database, store)
    with database.writing() as session:
        model = session.get_one(Model, automation.model.id)
        reference = session.get_one(ReferenceProfile, (model.id, 1))
        from mlreg.controller.services.profiles import find_bins

        bins = find_bins(session, reference.contract)
        reference.labels = training_labels(model, bins, np.repeat([0.0, 1.0], 500))
        session.add(reference)
    run_days(automation, [{}, {}])
    assert automation.value("label_mean", START) == pytest.approx(0.5, abs=0.08)
    assert automation.value("label_psi", START) < 0.05
    assert automation.value("label_cramers_v", START) < 0.1
    assert automation.readings("label_wasserstein") == []


@pytest.mark.nightly
def test_a_model_that_was_right_and_is_wrong_is_told(database, store):
    """The labels turn around after 18 days: inputs and scores look as ever."""
    automation = Automation(database, store, policy=POLICY)
    days = [{"rows": 960}] * 18
    run_days(automation, days)
    assert automation.value("concept_adwin", START + 17 * DAY) == 0.0
    assert {value for _, _, value in automation.readings("concept_page_hinkley")} == {0.0}
    for number in range(18, 22):
        turned_day(automation, START + number * DAY)
        automation.pass_to(START + (number + 1) * DAY)
    automation.pass_to(START + 23 * DAY)
    for monitor in ("concept_adwin", "concept_page_hinkley"):
        told = [start for start, _, value in automation.readings(monitor) if value == 1.0]
        assert told
        assert START + 18 * DAY <= told[0] <= START + 20 * DAY
    verdicts = {one.start: one.verdict for one in rows_of_monitor(automation, "concept_loss")}
    assert verdicts[START + 17 * DAY] == "normal"
    assert verdicts[START + 18 * DAY] == "unusual"
    (change,) = [one for one in rows_of_monitor(automation, "concept_adwin") if one.value == 1.0][
        :1
    ]
    assert change.evidence["before"] < change.evidence["after"]


def turned_day(automation, day):
    """Log a day whose labels are the opposite of what the scores say."""
    from tests.automation_makers import HOUR, labels_of, rows_of

    table, values = rows_of(day, rows=960)
    automation.accept("predictions", f"p{day:%Y%m%d}", table, day + 23 * HOUR)
    labels = labels_of(table, 1.0 - values)
    automation.accept("labels", f"l{day:%Y%m%d}", labels, day + 23 * HOUR)


def rows_of_monitor(automation, monitor):
    from mlreg.controller.store.readings import list_readings

    with automation.database.reading() as session:
        return list_readings(
            session,
            model_id=automation.model.id,
            environment="production",
            monitors=[monitor],
        )
