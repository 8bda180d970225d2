"""The digests of a record survive PostgreSQL, and nothing else does."""

import json

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.registry.domain.records import digest_parts, find_altered

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    NUMBERS | TEXTS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def connection(postgres):
    with psycopg.connect(postgres.url().replace("+psycopg", "")) as connection:
        yield connection


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_read_back_has_the_digest_of_what_was_stored(connection, part):
    kept = connection.execute("SELECT %s::jsonb", [json.dumps(part)]).fetchone()[0]
    registered = digest_parts({"hyperparameters": part})
    assert find_altered(registered, {"hyperparameters": kept}) == []


def test_altered_added_and_removed_parts_are_named():
    registered = digest_parts({"hyperparameters": {"leaves": 7}, "seeds": {"run": 0}})
    assert find_altered(registered, {"hyperparameters": {"leaves": 7.0}, "seeds": {"run": 0}}) == []
    altered = {"hyperparameters": {"leaves": "7"}, "environment": {"python": "3"}}
    assert find_altered(registered, altered) == ["hyperparameters", "seeds", "environment"]
