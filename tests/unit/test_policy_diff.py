"""What changed between two policies: keys and values."""

import json
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.policy_diff import diff
from mlreg.controller.services.policy_texts import parse_policy, written_policy
from tests.unit.test_policy_file import FILE

POLICY = parse_policy(FILE).to_json()


def changes(text):
    found = diff(POLICY, parse_policy(text).to_json())
    return [(one.key, one.kind, one.old, one.new) for one in found]


def test_comments_order_and_spelt_defaults_are_no_change():
    assert changes(FILE + "# said again\nrollout: immediate\n") == []
    lines = FILE.splitlines(keepends=True)
    assert changes("".join([*lines[9:11], *lines[:9], *lines[11:]])) == []
    assert changes(FILE.replace("cooldown:  6h", "cooldown: 360m")) == []


def test_a_large_number_that_the_database_writes_out_is_no_change():
    policy = parse_policy(FILE.replace("num_leaves: 31", "num_leaves: 31, lambda_l1: 1.0e+300"))
    written = json.dumps(policy.to_json()).replace("1e+300", "1" + "0" * 300)
    read = written_policy(json.loads(written))
    assert diff(read.to_json(), policy.to_json()) == []
    assert read.retrain.params == policy.retrain.params
    assert isinstance(read.retrain.params["num_leaves"], int)


def test_a_key_by_its_path():
    assert changes(FILE.replace("above: 0.2", "above: 0.3")) == [
        ("triggers[2].above", "changed", 0.2, 0.3)
    ]
    assert changes(FILE.replace("runs_per_day: 4, ", "")) == [
        ("budget.runs_per_day", "removed", 4, None)
    ]
    assert changes(FILE.replace("num_leaves: 31, ", "")) == [
        ("retrain.params.num_leaves", "removed", 31, None)
    ]
    assert changes(FILE.replace("[origin, carrier]", "[origin]")) == [
        ("gates[2].slices", "changed", ["origin", "carrier"], ["origin"])
    ]


def test_a_part_that_is_put_in_between_moves_no_other():
    (one,) = changes(FILE.replace("triggers:\n", "triggers:\n  - {labelled_rows: 5}\n"))
    assert one == ("triggers[0]", "added", None, {"labelled_rows": 5})
    (gone,) = changes(FILE.replace("  - {labelled_rows: 20000}\n", ""))
    assert gone == ("triggers[1]", "removed", {"labelled_rows": 20000}, None)


def test_a_part_of_another_kind_is_another_part():
    text = FILE.replace("{labelled_rows: 20000}", '{schedule: "0 4 * * *"}')
    ((key, kind, old, new),) = changes(text)
    assert (key, kind, old, new["schedule"]) == (
        "triggers[1]",
        "changed",
        {"labelled_rows": 20000},
        "0 4 * * *",
    )


def test_true_is_not_one():
    found = diff({"a": 1, "b": [2, {"c": 0}]}, {"a": True, "b": [2, {"c": False}]})
    assert [one.key for one in found] == ["a", "b"]


def test_everything_is_new_without_one_before():
    found = diff(None, POLICY)
    assert {one.kind for one in found} == {"added"}
    assert {one.key for one in found} == set(POLICY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_there_are_changes_exactly_where_two_documents_differ(old, new):
    kept = deepcopy((old, new))
    found = diff(old, new)
    assert bool(found) == (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))
    assert (old, new) == kept
    assert diff(new, deepcopy(new)) == []
