"""What a guard is fed with: losses of rows, of rows of several classes, and of groups."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlreg.controller.domain.performance import LabelledWindow, measure_window
from mlreg.controller.services.guard_differences import by_hour, paired
from mlreg.controller.trainers.scores import SCORES, read_scores, write_scores

TIMES = np.datetime64("2013-07-01T00:00", "us") + np.arange(4).astype("timedelta64[h]")


def window(labels, scores, groups=None):
    groups = None if groups is None else np.asarray(groups, np.intp)
    labels, scores = np.asarray(labels, float), np.asarray(scores, float)
    return LabelledWindow(labels, scores, np.ones(len(labels)), TIMES[: len(labels)], groups)


def test_rows_of_several_classes_lose_by_the_class_that_came():
    live = window([2, 0], [[0.1, 0.1, 0.8], [0.2, 0.3, 0.5]])
    previous = np.array([[0.2, 0.4, 0.4], [0.4, 0.3, 0.3]])
    found, blocks = paired("log_loss", live, previous, (np.array([0, 1]), 2))
    assert found == pytest.approx([np.log(0.4) - np.log(0.8), np.log(0.4) - np.log(0.2)])
    assert blocks.tolist() == [0, 1]


def test_groups_of_a_ranking_lose_in_the_hour_of_their_first_row():
    live = window([1, 0, 1, 0], [0.1, 0.9, 0.8, 0.2], groups=[4, 4, 7, 7])
    previous = np.array([0.9, 0.1, 0.8, 0.2])
    found, blocks = paired("mrr", live, previous, (np.array([0, 1, 2, 3]), 4))
    assert found.tolist() == [0.5, 0.0]  # worse by half a place in the first group
    hours = by_hour(np.array([10, 11, 12, 13]), found, blocks)
    assert [(hour.start.hour, hour.rows, hour.total) for hour in hours] == [
        (10, 1, 0.5),
        (12, 1, 0.0),
    ]


def test_scores_of_a_child_come_back_as_they_were(tmp_path):
    for scores in (np.array([0.1, 0.9]), np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])):
        write_scores(tmp_path, {"previous": scores})
        column = pq.read_table(tmp_path / SCORES).column("previous")
        assert np.array_equal(read_scores(column), scores)


def test_a_number_loses_as_it_did():
    found, _ = paired("mae", window([1, 3], [2, 3]), np.array([1.0, 1.0]), (np.array([0, 0]), 1))
    assert found.tolist() == [1.0, -2.0]


def test_rows_without_a_group_are_in_no_metric_of_a_window():
    whole = window([1, 0], [0.9, 0.1], groups=[0, 0])
    torn = window([1, 0, 1, 0], [0.9, 0.1, 0.1, 0.9], groups=[0, 0, -1, -1])
    rng = np.random.default_rng(0)
    values = [
        {one.metric: (one.value, one.skill) for one in measure_window("ranking", each, rng)}
        for each in (whole, torn)
    ]
    assert values[0] == values[1]
    assert values[0]["ndcg"][1] > 0  # better than chance
    assert set(values[0]) == {"ndcg", "map", "mrr"}
