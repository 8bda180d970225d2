"""Canonical JSON: what the standard library may write is what RFC 8785 asks for."""

from __future__ import annotations

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.digests import canonical_json

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_as_the_reference_writes_it(value):
    assert canonical_json(value) == rfc8785.dumps(value)


def test_controls_are_spelt_as_the_standard_says():
    text = "".join(map(chr, range(0x80)))
    assert canonical_json({text: text}) == rfc8785.dumps({text: text})
