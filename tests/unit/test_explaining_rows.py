"""Rows as an explanation looks at them: of each task, with and without scores, labels, versions."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.domain.bins import Bins, number_bins
from mlreg.controller.services.explaining_rows import features_of, scored_rows, worst_rows

MOMENT = pa.timestamp("us", tz="UTC")


def table(rows=300, **columns):
    given = {
        "prediction_id": [f"p{number}" for number in range(rows)],
        "time": pa.array(np.arange(rows) * 300_000_000, MOMENT),
        "version": pa.array([None] * rows, pa.int32()),
        "score": np.linspace(0.0, 1.0, rows),
        "label": np.ones(rows),
        "weight": np.ones(rows),
        **columns,
    }
    return pa.table(given)


def test_rows_without_a_score_are_left_out_and_weightless_labels_do_not_count():
    scores = np.linspace(0.0, 1.0, 300)
    weights = np.ones(300)
    weights[:30] = 0.0
    found = scored_rows(
        "binary", 2, table(score=pa.array(scores, mask=scores > 0.9), weight=weights)
    )
    assert len(found) == int((scores <= 0.9).sum())
    assert len(found.labelled) == len(found) - 30
    assert found.versions.tolist() == [0] * len(found)
    sample = found.sample(found.scores)
    assert sample.block_count == 23  # hours: there are no twelve stretches of six


def test_scores_of_several_classes_or_none_at_all():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([1, 1, 1], 300)
    scores = pa.array([list(row) if number else None for number, row in enumerate(rows)])
    found = scored_rows("multiclass", 3, table(scores=scores))
    assert found.scores.shape == (299, 3)
    assert len(scored_rows("multiclass", 3, table())) == 0


def test_versions_are_a_feature_where_there_are_several():
    bins = Bins((number_bins("x", np.arange(300.0), None), number_bins("score", np.ones(3), None)))
    versions = pa.array([1] * 150 + [2] * 100 + [None] * 50, pa.int32())
    found = features_of(
        scored_rows("binary", 2, table(version=versions, x=np.arange(300.0))), None, bins, 40
    )
    assert [one.name for one in found] == ["x", "version"]
    assert found[1].texts == ("= not said", "= 1", "= 2")
    alone = features_of(scored_rows("binary", 2, table(x=np.arange(300.0))), None, bins, 40)
    assert [one.name for one in alone] == ["x"]


@pytest.mark.parametrize("most", [0, 3])
def test_the_worst_rows_are_bounded_and_secrets_in_them_redacted(most):
    secret = "mlr_service_AAAAAAAAAAAA_" + "a" * 32 + "_01234567"
    rows = scored_rows("binary", 2, table(note=[secret] * 300, long=["x" * 500] * 300))
    found = worst_rows(rows, np.arange(300.0), most, ["note", "long", "gone"])
    assert [one.prediction_id for one in found] == ["p299", "p298", "p297"][:most]
    for one in found:
        assert set(one.features) == {"note", "long"}
        assert secret not in one.features["note"]
        assert len(one.features["long"]) == 80
