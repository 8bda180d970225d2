"""Invariants: each kind against a plain loop over rows; files that say what cannot be."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.invariants.expression import read_equation
from mlreg.controller.domain.invariants.file import (
    InvalidInvariantsError,
    columns_of,
    read_invariants,
)
from mlreg.controller.domain.invariants.rows import Rows
from mlreg.registry.domain.contracts import FeatureSchema

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = FeatureSchema.from_json(
    [
        {"name": "x", "dtype": "float"},
        {"name": "y", "dtype": "float"},
        {"name": "n", "dtype": "int"},
        {"name": "flag", "dtype": "bool"},
        {"name": "code", "dtype": "category", "categories": ["AA", "B6", "zz"]},
        {"name": "free text", "dtype": "category"},
    ]
)
FEW = st.sampled_from([None, -1.0, 0.0, 1.0, 2.5, 3.0])
ROW = st.fixed_dictionaries(
    {
        "minute": st.integers(0, 6),
        "entity": st.sampled_from([None, "a", "b", "c"]),
        "x": FEW,
        "y": FEW,
        "n": st.sampled_from([None, -(2**62), 0, 1, 2, 2**62, 2**62 + 1]),
        "flag": st.sampled_from([None, True, False]),
        "code": st.sampled_from([None, "AA", "B6", "zz"]),
        "free text": st.sampled_from([None, "", "a\nb", "ab", "é"]),
    }
)
TABLES = st.lists(ROW, max_size=25)


def table_of(rows):
    """Return rows as a table, in order of time, each with a number as its id."""
    rows = sorted(rows, key=lambda row: row["minute"])
    types = {"entity": pa.string(), "x": pa.float64(), "y": pa.float64(), "n": pa.int64()}
    types |= {"flag": pa.bool_(), "code": pa.string(), "free text": pa.string()}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    times = [START + timedelta(minutes=row["minute"]) for row in rows]
    return rows, pa.table(
        {
            "prediction_id": pa.array([str(place) for place in range(len(rows))], pa.string()),
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            **columns,
        }
    )


def declared(*lines):
    text = "model: flights\ninvariants:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    file = read_invariants(text)
    file.check_columns(columns_of(SCHEMA))
    return file.invariants


def problem_of(*lines):
    with pytest.raises(InvalidInvariantsError) as caught:
        declared(*lines)
    return str(caught.value)


def quotient(row):
    if row["x"] is None or row["y"] is None or row["n"] is None:
        return None
    if row["y"] == 0:
        return False  # what cannot be compared is broken
    return abs(row["n"]) < 2**60 and abs(row["x"] / row["y"] - row["n"]) <= 0.5


ORACLES = {
    "name: a, not_null: x": lambda row: row["x"] is not None,
    "name: a, not_null: free text": lambda row: row["free text"] is not None,
    "name: a, not_null: entity": lambda row: row["entity"] is not None,
    "name: a, range: x, min: 0, below: 3": lambda row: (
        None if row["x"] is None else 0 <= row["x"] < 3
    ),
    "name: a, range: n, above: 0": lambda row: None if row["n"] is None else row["n"] > 0,
    "name: a, range: flag, max: 0": lambda row: None if row["flag"] is None else not row["flag"],
    "name: a, in_set: code, values: [AA, zz]": lambda row: (
        None if row["code"] is None else row["code"] in {"AA", "zz"}
    ),
    "name: a, in_set: n, values: [1, 2, 4611686018427387905]": lambda row: (
        None if row["n"] is None else row["n"] in {1, 2, 2**62 + 1}
    ),
    "name: a, in_set: flag, values: [true]": lambda row: row["flag"],
    "name: a, in_set: x, values: [1, 2.5]": lambda row: (
        None if row["x"] is None else row["x"] in {1, 2.5}
    ),
    'name: a, matches: code, pattern: "[A-Z][A-Z0-9]"': lambda row: (
        None if row["code"] is None else re.fullmatch("[A-Z][A-Z0-9]", row["code"]) is not None
    ),
    'name: a, matches: free text, pattern: "a|ab|."': lambda row: (
        None if row["free text"] is None else re.fullmatch("a|ab|.", row["free text"]) is not None
    ),
    'name: a, relation: "x <= y"': lambda row: (
        None if None in (row["x"], row["y"]) else row["x"] <= row["y"]
    ),
    'name: a, relation: "x == y * 2", tolerance: 0.5': lambda row: (
        None if None in (row["x"], row["y"]) else abs(row["x"] - 2 * row["y"]) <= 0.5
    ),
    'name: a, relation: "n != 4611686018427387904"': lambda row: (
        None if row["n"] is None else row["n"] not in {2**62, 2**62 + 1}  # a number is a float
    ),
    'name: a, relation: "x / y == n", tolerance: 0.5': quotient,
}


@settings(max_examples=25, deadline=None)
@given(rows=TABLES)
@pytest.mark.parametrize("line", ORACLES)
def test_what_is_about_each_row_is_what_a_loop_says(line, rows):
    (invariant,) = declared(line)
    rows, table = table_of(rows)
    said = [ORACLES[line](row) for row in rows]
    broken = [place for place, holds in enumerate(said) if holds is not None and not holds]
    checked = sum(holds is not None for holds in said)
    found = invariant.check(Rows(table))
    assert (found.checked, found.broken) == (checked, len(broken))
    assert found.examples == tuple(broken[:5])
    assert found.value == (len(broken) / checked if checked else None)
    assert found.holds == (not broken if checked else None)


def falls(rows, *, rising, strictly, counted_from=0, per="entity"):
    """Return the places of rows that are below (above) all that the time before had."""
    broken = []
    for place, row in enumerate(rows):
        if row["n"] is None or (per and row[per] is None) or row["minute"] < counted_from:
            continue
        others = [one for one in rows if one["n"] is not None and (not per or one[per] == row[per])]
        before = max(
            (one["minute"] for one in others if one["minute"] < row["minute"]), default=None
        )
        last = [one["n"] for one in others if one["minute"] == before]
        if not last:
            continue
        step = row["n"] - max(last) if rising else min(last) - row["n"]
        if step < 0 or (strictly and step == 0):
            broken.append(place)
    return broken


@settings(max_examples=50, deadline=None)
@given(rows=TABLES, rising=st.booleans(), strictly=st.booleans(), border=st.integers(0, 6))
@pytest.mark.parametrize("per", ["entity", None])
def test_monotone_holds_each_row_against_the_time_before(rows, rising, strictly, border, per):
    direction = "rising" if rising else "falling"
    group = "null" if per is None else per
    (invariant,) = declared(
        f"name: a, monotone: n, direction: {direction}, per: {group}, strictly: {strictly}"
    )
    rows, table = table_of(rows)
    found = invariant.check(Rows(table, START + timedelta(minutes=border)))
    broken = falls(rows, rising=rising, strictly=strictly, counted_from=border, per=per)
    assert found.broken == len(broken)
    assert found.examples == tuple(broken[:5])


@settings(max_examples=50, deadline=None)
@given(rows=TABLES, border=st.integers(0, 6))
@pytest.mark.parametrize("per", ["entity", "flag", None])
@pytest.mark.parametrize("feature", ["n", "x", "code"])
def test_unique_leaves_the_first_of_each_value(rows, border, per, feature):
    (invariant,) = declared(f"name: a, unique: {feature}" + (f", per: {per}" if per else ""))
    rows, table = table_of(rows)
    seen, broken, checked = set(), [], 0
    for place, row in enumerate(rows):
        key = (row[feature], row[per] if per else "")
        if None in key:
            continue
        counted = row["minute"] >= border
        checked += counted
        if key in seen and counted:
            broken.append(place)
        seen.add(key)
    found = invariant.check(Rows(table, START + timedelta(minutes=border)))
    assert (found.checked, found.broken, found.examples) == (
        checked,
        len(broken),
        tuple(broken[:5]),
    )


@settings(max_examples=25, deadline=None)
@given(rows=TABLES, cut=st.integers(0, 25))
@pytest.mark.parametrize("line", ORACLES)
def test_two_parts_break_what_the_whole_breaks(line, rows, cut):
    """The same declaration says the same of rows whether they are looked at in one batch or two."""
    (invariant,) = declared(line)
    _, table = table_of(rows)
    whole = invariant.check(Rows(table))
    parts = [invariant.check(Rows(part)) for part in (table[:cut], table[cut:])]
    assert whole.broken == sum(part.broken for part in parts)
    assert whole.checked == sum(part.checked for part in parts)


@settings(max_examples=50, deadline=None)
@given(rows=TABLES, seed=st.integers(0, 99))
def test_rows_that_come_in_no_order_are_put_in_order(rows, seed):
    (invariant,) = declared("name: a, monotone: n, direction: rising")
    _, table = table_of(rows)
    mixed = table.take(np.random.default_rng(seed).permutation(len(rows)))
    assert invariant.check(Rows(mixed)).broken == invariant.check(Rows(table)).broken


def test_a_mean_is_judged_only_where_there_are_enough_rows():
    few, many = (
        declared(f"name: a, mean: x, equals: 1, within: 0.25, min_rows: {least}")[0]
        for least in (5, 4)
    )
    row = {"minute": 0, "entity": None, "y": None, "n": None, "flag": None, "code": None}
    rows = [{**row, "free text": None, "x": value} for value in (0.0, 1.0, 2.0, 2.5, None)]
    _, table = table_of(rows)
    assert few.check(Rows(table)).holds is None
    found = many.check(Rows(table))
    assert (found.value, found.holds, found.checked, found.broken) == (1.375, False, 4, 0)
    later = Rows(table, START + timedelta(hours=1))
    assert many.check(later).value is None


def test_a_share_may_be_allowed():
    (invariant,) = declared("name: a, not_null: x, at_most: 0.5")
    rows = [{"minute": n, "x": None if n < 2 else 1.0} for n in range(4)]
    rows = [
        {"entity": None, "y": None, "n": 1, "flag": None, "code": None, "free text": None, **row}
        for row in rows
    ]
    assert invariant.check(Rows(table_of(rows)[1])).holds
    assert not invariant.check(Rows(table_of(rows[:3])[1])).holds


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("name: a, range: x, min: 5, max: 3", "no number is in this range"),
        ("name: a, range: x, above: 3, below: 3", "no number is in this range"),
        ("name: a, range: x, min: 3, above: 3", "name one"),
        ("name: a, range: x", "needs min, max, above or below"),
        ("name: a, range: code, min: 1", "'code' is of dtype category; range needs a number"),
        ("name: a, range: snow, min: 1", "there is no feature 'snow'"),
        ("name: a, monotone: n, direction: rising, per: snow", "there is no feature 'snow'"),
        ("name: a, monotone: n, direction: up", "direction: must be 'rising' or 'falling'"),
        ("name: a, mean: x, equals: 1, within: -1", "within: "),
        ("name: a, mean: x, equals: .inf, within: 1", "is no finite number"),
        ("name: a, in_set: code, values: []", "values: "),
        ("name: a, in_set: code, values: [AA, AA]", "a value is there twice"),
        ("name: a, in_set: code, values: [AA, QQ]", "'QQ' is not one of the categories"),
        ("name: a, in_set: n, values: [AA]", "'AA' is no int"),
        ("name: a, in_set: n, values: [true]", "True is no int"),
        ("name: a, in_set: n, values: [1.5]", "1.5 is no int"),
        ("name: a, not_null: x, at_most: 1", "at_most: "),
        ("name: a, not_null: x, severity: page", "severity: "),
        ("name: A b, not_null: x", "name: "),
        ("name: a, not_null: x, because: so", "because: unknown key"),
        ("not_null: x", "name: this key is required"),
        ("name: a", "must have exactly one of the keys"),
        ("name: a, not_null: x, range: x", "must have exactly one of the keys"),
        ("name: a, matches: x, pattern: a", "matches needs a category"),
        ('name: a, matches: code, pattern: "["', "not a pattern of RE2: missing ]"),
        ('name: a, matches: code, pattern: "a)|(b"', "not a pattern of RE2"),
        (r'name: a, matches: code, pattern: "(a)\\1"', "not a pattern of RE2"),
        ('name: a, matches: code, pattern: "(?=a)"', "not a pattern of RE2"),
        ('name: a, matches: code, pattern: "((a{100}){100}){100}"', "not a pattern of RE2"),
        (f'name: a, matches: code, pattern: "{"a" * 501}"', "pattern: "),
        ('name: a, relation: "x"', "must have one of <= >= == != < >"),
        ('name: a, relation: "x < y < n"', "must have one of"),
        ('name: a, relation: "x <= "', "must be one feature or number"),
        ('name: a, relation: "1 <= 2"', "it names no feature"),
        ('name: a, relation: "x <= x"', "both sides are the same"),
        ('name: a, relation: "x <= y * n * 2"', "must be one feature or number"),
        ('name: a, relation: "x <= __import__(1)"', "is no feature, number or sign"),
        ('name: a, relation: "x <= 1e999"', "is too large"),
        ('name: a, relation: "x <= code"', "relation needs a number"),
    ],
)
def test_what_cannot_be_declared_is_named_with_its_line(line, problem):
    said = problem_of("name: first, not_null: x", line)
    assert problem in said
    assert said.startswith("line 4")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("range: x, min: 5", "range: x, max: 3"),
        ("range: x, min: 5", "range: x, below: 5"),
        ("mean: x, equals: 9, within: 1", "range: x, max: 7"),
        ("mean: x, equals: 9, within: 1", "mean: x, equals: 1, within: 1"),
        ("in_set: n, values: [1, 2]", "in_set: n, values: [3]"),
        ("in_set: n, values: [1, 2]", "range: n, min: 3"),
        ("in_set: code, values: [zz]", 'matches: code, pattern: "[A-Z0-9]+"'),
        ("monotone: n, direction: rising", "monotone: n, direction: falling, strictly: true"),
        ('relation: "x < y"', 'relation: "x >= y"'),
        ('relation: "x < y"', 'relation: "y < x"'),
    ],
)
def test_what_contradicts_is_refused_in_either_order(first, second):
    for lines in ((first, second), (second, first)):
        said = problem_of(*(f"name: {name}, {one}" for name, one in zip("ab", lines, strict=True)))
        assert said.startswith("line 4: invariants[1]: b (")
        assert "contradicts a (" in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("range: x, min: 5", "range: y, max: 3"),
        ("range: x, min: 5", "range: x, max: 5"),
        ("range: x, min: 5, at_most: 0.6", "range: x, max: 3, at_most: 0.6"),
        ("monotone: n, direction: rising", "monotone: n, direction: falling"),
        ('relation: "x <= y"', 'relation: "x >= y"'),
        ('relation: "x < y", tolerance: 1', 'relation: "x > y"'),
        ("mean: x, equals: 9, within: 1", "range: x, max: 8"),
    ],
)
def test_what_can_be_kept_together_is_taken(first, second):
    assert len(declared(f"name: a, {first}", f"name: b, {second}")) == 2


def test_names_are_given_once_and_a_file_names_its_model():
    said = problem_of("name: a, not_null: x", "name: a, not_null: y")
    assert said == "line 4: invariants[1].name: a is there twice"
    with pytest.raises(InvalidInvariantsError, match=r"model: this key is required.*invariants"):
        read_invariants("{}")
    assert read_invariants("{model: flights, invariants: []}").invariants == ()
    many = "".join(f"  - {{name: a{number}, not_null: x}}\n" for number in range(201))
    with pytest.raises(InvalidInvariantsError, match="at most 200"):
        read_invariants(f"model: flights\ninvariants:\n{many}")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="xy n`<>=!*/+-.019eE_(\n", max_size=30))
def test_any_text_is_a_relation_or_is_refused(text):
    try:
        equation = read_equation(text)
    except ValueError:
        return
    assert equation.sign in text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_file_or_is_refused(text):
    with suppress(InvalidInvariantsError):
        read_invariants(f"model: flights\ninvariants: {text}")


def test_minus_is_a_sign_or_an_operator_by_its_place():
    for text, value in (("x == y -1", 4.0), ("x == y - -1", 6.0), ("x == -1 - y", -6.0)):
        side = read_equation(text).right
        assert side.value({"y": np.array([5.0])}) == value


def test_what_cannot_be_compared_breaks_a_relation():
    (invariant,) = declared('name: a, relation: "x / y <= 9"')
    row = {"minute": 0, "entity": None, "n": 1, "flag": None, "code": None, "free text": None}
    sides = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (None, 0.0)]
    _, table = table_of([{**row, "x": x, "y": y} for x, y in sides])
    found = invariant.check(Rows(table))
    assert (found.checked, found.examples) == (4, (0, 1))  # -1 / 0 is below everything


def test_a_pattern_that_backtracks_elsewhere_is_linear_here():
    (invariant,) = declared('name: a, matches: free text, pattern: "(a+)+"')
    row = {"minute": 0, "entity": None, "x": 1.0, "y": 1.0, "n": 1, "flag": None, "code": None}
    _, table = table_of([{**row, "free text": "a" * 5_000 + "!"}])
    found = invariant.check(Rows(table))  # `re` would still be at it when the sun is gone
    assert found.broken == 1
