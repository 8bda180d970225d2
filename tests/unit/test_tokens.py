"""The form of tokens."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.tokens import make_token, parse_token

TOKEN = make_token("person", random.Random(1).choice)


def test_a_token_reads_back_and_does_not_show_itself():
    assert parse_token(TOKEN.text) == TOKEN
    assert TOKEN.secret not in repr(TOKEN)
    assert len(TOKEN.secret) == 32
    assert TOKEN.text.startswith(f"mlr_person_{TOKEN.id}_")


@given(st.integers(0, len(TOKEN.text) - 1), st.sampled_from("0aZ_-é\0"))
def test_one_wrong_character_is_no_token(position, character):
    text = TOKEN.text[:position] + character + TOKEN.text[position + 1 :]
    assert (parse_token(text) is not None) == (text == TOKEN.text)


@given(st.text(max_size=200))
def test_any_other_text_is_no_token(text):
    assert parse_token(text) is None
