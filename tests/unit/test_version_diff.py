"""What differs between two versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.version_diff import (
    Change,
    Compared,
    FeatureDiff,
    MetricChange,
    changes,
    compare_url,
    diff_versions,
)

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
MAPPINGS = st.dictionaries(st.text(max_size=3), VALUES, max_size=5)


@given(MAPPINGS, MAPPINGS)
def test_swapping_the_versions_swaps_the_changes(one, other):
    assert changes(one, one) == ()
    there, back = changes(one, other), changes(other, one)
    assert [Change(c.name, c.after, c.before) for c in there] == list(back)


def test_true_is_not_one():
    assert changes({"x": True}, {"x": 1}) == (Change("x", True, 1),)
    assert changes({"x": 1}, {"x": 1.0}) == ()
    assert changes({"x": None}, {}) == (Change("x", None, None),)


def test_every_part_is_compared():
    feature = {"name": "a", "dtype": "float"}
    one = Compared(
        facts={"lane": "full"},
        git={"commit": "a" * 40, "dirty": False, "remote": "git@github.com:acme/models.git"},
        data={"sha256:1": "train", "sha256:2": "sha256:2"},
        features=[feature, {"name": "b", "dtype": "int"}, {"name": "gone", "dtype": "int"}],
        params={"num_leaves": 31},
        packages={"numpy": "2.0"},
        metrics={"auc": 0.7, "old": 1.0},
        files={"model.txt": "sha256:a"},
    )
    other = Compared(
        facts={"lane": "refit"},
        git={"commit": "b" * 40, "dirty": True, "remote": "git@github.com:acme/models.git"},
        data={"sha256:3": "train", "sha256:2": "sha256:2"},
        features=[{"name": "b", "dtype": "float"}, feature, {"name": "new", "dtype": "int"}],
        params={"num_leaves": 63, "extra": None},
        packages={"numpy": "2.0"},
        metrics={"auc": 0.75},
        files={"model.txt": "sha256:b"},
    )
    found = diff_versions(one, other)
    assert found.facts == (Change("lane", "full", "refit"),)
    assert found.data == (Change("train", "sha256:1", "sha256:3"),)
    assert found.features == FeatureDiff(
        ("new",), ("gone",), (Change("b.dtype", "int", "float"),), reordered=True
    )
    assert [change.name for change in found.params] == ["extra", "num_leaves"]
    assert found.packages == ()
    assert found.metrics[0].delta == pytest.approx(0.05)
    assert found.metrics[1] == MetricChange("old", 1.0, None, None)
    assert found.files == (Change("model.txt", "sha256:a", "sha256:b"),)
    assert found.code.commits == f"{'a' * 40}..{'b' * 40}"
    assert found.code.url == (f"https://github.com/acme/models/compare/{'a' * 40}...{'b' * 40}")
    assert found.code.dirty
    same = diff_versions(one, one)
    assert same.code is None
    assert same.features == FeatureDiff()


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/acme/models.git", "https://github.com/acme/models/compare/a...b"),
        ("ssh://git@gitlab.com:22/g/s/m.git", "https://gitlab.com/g/s/m/-/compare/a...b"),
        ("git@gitlab.acme.org:g/m.git", "https://gitlab.acme.org/g/m/-/compare/a...b"),
        ("https://notgithub.com/acme/models", None),
        ("/srv/git/models.git", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_where_commits_are_compared(remote, url):
    assert compare_url(remote, "a", "b") == url


def test_no_page_compares_two_repositories():
    one = Compared(git={"commit": "a", "dirty": False, "remote": "https://github.com/a/x"})
    other = Compared(git={"commit": "b", "dirty": False, "remote": "https://github.com/b/x"})
    assert diff_versions(one, other).code.url is None
