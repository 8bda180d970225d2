"""The form of tokens."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.names import InvalidNameError
from mlreg.registry.domain.tokens import (
    ReservedNameError,
    checked_holder,
    make_token,
    parse_token,
)

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


def test_nobody_bears_a_name_under_which_the_service_acts():
    with pytest.raises(ReservedNameError, match=SYSTEM.name):
        checked_holder(SYSTEM.name)
    for name in ("policy:flights/1", "guard:log_loss", "monitor:outage", "oidc:ci", "MLREG"):
        with pytest.raises(InvalidNameError):
            checked_holder(name)
    assert checked_holder("mlreg-ci") == "mlreg-ci"
