"""What JSON may be: whatever passes reads the same everywhere."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.api.strict_json import (
    MAX_DEPTH,
    InvalidJsonError,
    _may_have_large_number,
    check_json,
    check_texts,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("abcé漢 \n", max_size=9),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text("abc"), below, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_json_passes(value):
    check_json(json.dumps(value).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b"9223372036854775808",
        b'{"a":1,"a":1}',
        b'"\\u0000"',
        b'"\\udc00"',
        b'{"\\u202e":1}',
        b'"\x7f"',
        '"\u202e"'.encode(),
        b'"' + b"a" * 65_537 + b'"',
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
        b"[" * 500_000,
    ],
)
def test_the_rest_is_refused(body):
    with pytest.raises(InvalidJsonError):
        check_json(body)


@given(st.binary(max_size=60))
def test_nothing_else_is_raised(body):
    try:
        check_json(body)
    except InvalidJsonError:
        return
    json.loads(body)


@given(
    sign=st.sampled_from(["", "-"]),
    digits=st.text("0123456789", min_size=1, max_size=400),
    rest=st.sampled_from(["", ".5", "e5", "E+99", "e100", "E+0308", "e-400", "e+309", ".0E0999"]),
)
def test_numbers_are_those_of_a_double_or_of_64_bits(sign, digits, rest):
    text = f"{sign}{digits.lstrip('0') or '0'}{rest}"
    value = json.loads(text) if rest else int(text)
    keeps = math.isfinite(value) if rest else -(2**63) <= value < 2**63
    try:
        assert check_json(f'{{"rows":[{text}]}}'.encode()) == {"rows": [value]}
        assert keeps
    except InvalidJsonError:
        assert not keeps


@given(PLAIN, st.text('a\x1f\x7f\u200e\\\t"'), st.booleans())
def test_a_quick_look_lets_nothing_pass_that_a_thorough_one_would_not(value, text, ascii_only):
    document = {"value": value, "text": text}
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    try:
        check_texts(document)
    except InvalidJsonError:
        with pytest.raises(InvalidJsonError):
            check_json(body)
    else:
        assert check_json(body) == document


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
@pytest.mark.parametrize("leaf", [[], {}, [0], {"a": 0}])
def test_a_quick_look_at_the_depth_lets_nothing_deeper_pass(depth, leaf):
    document = leaf
    for level in range(depth):
        document = [document] if level % 2 else {"beside": 0, "below": document}
    test_a_quick_look_lets_nothing_pass_that_a_thorough_one_would_not.hypothesis.inner_test(
        document, "a", ascii_only=True
    )


def test_a_digest_is_not_read_as_a_large_number():
    assert not _may_have_large_number(b'{"digest":"sha256:a8e2345f"}')
    assert _may_have_large_number(b'{"rate":8e2345}')
