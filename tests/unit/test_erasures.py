"""The reason of an erasure, and what its report says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.erasures import (
    EntityInReasonError,
    Remainder,
    Report,
    check_reason,
    sorted_remainders,
)

WORDS = st.text("abcdefghij0123456789.-_@ ", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("reason", "entity"),
    [
        ("customer-7 asked for it", "customer-7"),
        ("asked by CUSTOMER-7.", "customer-7"),
        ("(ada@example.org)", "ada@example.org"),
        ("article 17", "17"),
        ("asked by a.b", " a.b "),
    ],
)
def test_a_reason_does_not_name_the_entity(reason, entity):
    with pytest.raises(EntityInReasonError, match="stays in the audit log for ever") as refused:
        check_reason(reason, entity)
    assert entity.strip() not in str(refused.value)


@pytest.mark.parametrize(
    ("reason", "entity"),
    [
        ("customer-77 is not meant", "customer-7"),
        ("ticket 4711", "7"),
        ("asked", " "),
        ("a+b", "."),
    ],
)
def test_other_words_may_stand_there(reason, entity):
    check_reason(reason, entity)


@given(WORDS, WORDS, WORDS)
def test_a_name_between_spaces_is_always_found(before, entity, after):
    if entity.strip():
        with pytest.raises(EntityInReasonError):
            check_reason(f"{before} {entity.strip()} {after}", entity)


def test_a_report_names_each_place_once_in_order():
    kept = sorted_remainders(
        [
            Remainder("version_file", "flights/2 holdout.parquet", 3),
            Remainder("source", "s3://bucket/rows"),
            Remainder("source", "s3://bucket/rows"),
        ]
    )
    assert [one.name for one in kept] == ["s3://bucket/rows", "flights/2 holdout.parquet"]
    form = Report(segments=1, remaining=kept).to_json()
    assert form["remaining"][1] == {
        "what": "version_file",
        "name": "flights/2 holdout.parquet",
        "rows": 3,
    }
