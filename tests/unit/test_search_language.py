"""The language of search: queries read back as they were written, errors name their column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.search_conditions import (
    EVERYTHING,
    NOTHING,
    All,
    AnyOf,
    Member,
    Not,
    Number,
    Text,
    release_of,
    simplified,
)
from mlreg.registry.domain.search_fields import FIELDS
from mlreg.registry.domain.search_language import (
    MAX_TERMS,
    Both,
    Either,
    InvalidQueryError,
    Negated,
    Term,
    parse_query,
)
from mlreg.registry.domain.search_terms import condition_of

WORDS = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=' "\\()*-:'), min_size=1
)
TERMS = st.builds(
    Term,
    name=st.sampled_from(["model", "tag", "params", "git", "or_else", "not_so"]),
    key=st.none() | WORDS.filter(lambda word: not word.endswith("\\")),
    operator=st.sampled_from([":", "=", "!=", ">", ">=", "<", "<="]),
    value=WORDS,
    quoted=st.just(True),
    prefix=st.booleans(),
)
PARTS = st.recursive(
    TERMS,
    lambda parts: (
        st.builds(Negated, parts)
        | st.builds(Both, st.lists(parts, min_size=2, max_size=4).map(tuple))
        | st.builds(Either, st.lists(parts, min_size=2, max_size=4).map(tuple))
    ),
    max_leaves=10,
)


@given(PARTS)
def test_what_is_written_out_reads_back_the_same(part):
    assert parse_query(str(part)) == part


@pytest.mark.parametrize(
    ("query", "column", "problem"),
    [
        ("", 1, "found the end"),
        ("flights", 8, "expected an operator"),
        ("lane:", 6, "expected a value, found the end"),
        ("lane:a )", 8, "found ')'"),
        ("(lane:a", 8, "expected ')'"),
        ("lane:a or", 10, "expected"),
        ('lane:"a', 6, "expected a value"),
        ("lane:a\nmetric.auc>", 19, "expected a value"),
        ("lane:a wheels:4", 8, "no field 'wheels'"),
        ("lane:a tag:x", 8, "tag needs a key"),
        ("lane.x:a", 1, "takes no key"),
        ("lane>x", 1, "has no order"),
        ("lane:a metric.auc>high", 8, "'high' is none"),
        ("metric.auc>1e999", 1, "is none"),
        ("metric.auc=nan", 1, "is none"),
        ("created>2026-13", 1, "no moment"),
        ("created>2026-02-30", 1, "no moment"),
        ("created:9999", 1, "no moment"),
        ("git:zebra", 1, "no digest"),
        ("version:1*", 1, "a star"),
        ("package.numpy>new", 1, "no version number"),
        ("lane:\u202ea", 6, "cannot be printed"),
        ("lane:a " * (MAX_TERMS + 1), 1, "at most 50 terms"),
        ("(" * 30 + "lane:a" + ")" * 30, 1, "at most 20 deep"),
        ("x" * 5_000, 4_001, "at most 4000 characters"),
        ("tag." + "k" * 300 + ":v", 1, "at most 200 characters"),
    ],
)
def test_an_error_names_the_column_and_what_was_expected(query, column, problem):
    with pytest.raises(InvalidQueryError) as refused:
        condition_of(parse_query(query))
    assert refused.value.column == column
    assert problem in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_refused(text):
    column = 1
    try:
        condition_of(parse_query(text))
    except InvalidQueryError as error:
        column = error.column
    assert column >= 1


@pytest.mark.parametrize("name", list(FIELDS))
def test_the_example_of_every_field_is_a_query(name):
    condition_of(parse_query(FIELDS[name].example))


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ("lane:full", Text("lane", ("full",))),
        ("LANE=full", Text("lane", ("full",))),
        ("lane!=full", Not(Text("lane", ("full",)))),
        ("not -lane:full", Text("lane", ("full",))),
        ("tag.team:*", Text("tag.team", ("",), prefix=True)),
        ('tag."a b":"c d"*', Text("tag.a b", ("c d",), prefix=True)),
        ("git:3F2A", Text("git", ("3f2a",), prefix=True)),
        ("git:" + "a" * 40, Text("git", ("a" * 40,))),
        ("data:sha256:" + "a" * 64, Text("data", ("a" * 64,))),
        ("metric.auc>=0.8", Number("metric.auc", low=0.8)),
        ("metric.auc>0.5 metric.auc<0.7", Number("metric.auc", 0.5, 0.7, True, True)),
        (
            "params.x:3",
            AnyOf((Number("params.x", 3, 3), Text("params.x", ("3",)))),
        ),
        ("lane:full or lane:refit or lane:full", Text("lane", ("full", "refit"))),
        (
            "-(lane:full or dirty:true)",
            All((Not(Text("lane", ("full",))), Not(Text("dirty", ("true",))))),
        ),
        ('params.x:"3"', Text("params.x", ("3",))),
        ("created:2026-03", Number("created", 1772323200, 1775001600, open_high=True)),
        ("created>2026-01-01", Number("created", low=1767312000)),
        ("created<=2026-01-01T10:30", Number("created", high=1767263460, open_high=True)),
        ("package.Light_GBM:4.6*", Member("packages", "light-gbm", value="4.6")),
    ],
)
def test_what_terms_mean(query, meaning):
    assert simplified(condition_of(parse_query(query))) == meaning


@pytest.mark.parametrize(
    "query",
    [
        "lane:full lane:refit",
        "metric.auc>0.8 metric.auc<0.5",
        "metric.auc>0.8 metric.auc<=0.8",
        "features:temp -features:temp",
        "tag.a=1 (tag.b=2 tag.a=2)",
        "not (lane:full or lane!=full)",
    ],
)
def test_a_contradiction_is_found_without_a_database(query):
    assert simplified(condition_of(parse_query(query))) == NOTHING


def test_what_always_holds_is_everything():
    assert simplified(condition_of(parse_query("lane:full or -lane:full"))) == EVERYTHING
    assert simplified(All((NOTHING, Not(NOTHING)))) == NOTHING


@pytest.mark.parametrize(
    ("operator", "wanted", "accepted", "refused"),
    [
        ("=", "4.6", ["4.6", "4.6.0"], ["4.6.1", "4.60", "4.6rc1"]),
        (">=", "4.6", ["4.6", "4.10", "5", "4.6.post1"], ["4.6rc1", "4.5.9", "4.6.dev0"]),
        (">", "2.0", ["2.0.1", "2.0+cu12"], ["2", "2.0.0"]),
        ("<", "2.0", ["1.26.4", "2.0a1"], ["2.0", "none"]),
    ],
)
def test_versions_of_packages_compare_as_numbers(operator, wanted, accepted, refused):
    member = Member("packages", "x", operator=operator, value=wanted, open_value=False)
    assert all(map(member.accepts, accepted))
    assert not any(map(member.accepts, refused))


def test_a_release_is_numbers_first():
    assert release_of("4.6.0") == release_of("4.6")
    assert release_of("main") is None
