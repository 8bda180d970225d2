"""Secrets in what would be kept: one look at all texts finds what a look at each of them does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.redaction import find_secret
from mlreg.registry.domain.secrets import SecretFoundError, refuse_secrets
from tests.unit.test_redaction import HARMLESS, SECRETS

TEXTS = st.one_of(
    st.sampled_from(HARMLESS),
    st.sampled_from(list(SECRETS.values())),
    st.text(alphabet="ab1 -_.=:/@\n", max_size=8),
    st.builds(lambda one, cut: one[:cut], st.sampled_from(list(SECRETS.values())), st.integers(1)),
)
DOCUMENTS = st.dictionaries(
    TEXTS,
    st.recursive(
        TEXTS | st.integers() | st.none(),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def texts_of(value):
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_of(part)]
    return [text for item in value for text in texts_of(item)] if isinstance(value, list) else []


@given(DOCUMENTS)
def test_a_document_is_refused_exactly_when_one_of_its_texts_has_a_secret(document):
    if any(map(find_secret, texts_of(document))):
        with pytest.raises(SecretFoundError):
            refuse_secrets(document)
    else:
        refuse_secrets(document)


@pytest.mark.parametrize("text", SECRETS.values())
def test_neighbours_hide_no_secret(text):
    with pytest.raises(SecretFoundError, match=r"tags\.b has"):
        refuse_secrets({"tags": {"a": "x", "b": text, "c": "x"}})
