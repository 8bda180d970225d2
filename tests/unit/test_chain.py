"""The hash chain: whatever is done to it, the first bad entry is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.chain import GENESIS, Link, canonical_body, verify_chain
from mlreg.registry.domain.errors import InvalidError

AT = datetime(2026, 1, 1, tzinfo=UTC)


def chain(length):
    links, previous = [], GENESIS
    for seq in range(1, length + 1):
        body = canonical_body({"b": seq, "a": "x"})
        link = Link(seq, AT + timedelta(seconds=seq), "ada", "act", "thing", body, previous)
        previous = link.digest
        links.append((link, previous))
    return links


def verified(links, head=None):
    return verify_chain(links, head or (links[-1][0].seq, links[-1][1]))


def test_an_untouched_chain_holds():
    assert verified(chain(5)).first_bad is None
    assert verify_chain([], (0, GENESIS)).first_bad is None


@given(st.integers(1, 8), st.sampled_from(["actor", "action", "subject", "body", "at", "format"]))
def test_an_edited_entry_is_named(seq, field):
    links = chain(8)
    link, digest = links[seq - 1]
    new = {"at": AT, "format": 2}.get(field, "other")
    links[seq - 1] = (replace(link, **{field: new}), digest)
    assert verified(links).first_bad == seq


@given(st.integers(1, 7))
def test_a_deleted_entry_is_named(seq):
    links = chain(8)
    head = (8, links[-1][1])
    del links[seq - 1]
    assert verified(links, head).first_bad == seq


@given(st.integers(1, 7))
def test_an_entry_rehashed_after_an_edit_breaks_at_the_next(seq):
    links = chain(8)
    head = (8, links[-1][1])
    forged = replace(links[seq - 1][0], actor="eve")
    links[seq - 1] = (forged, forged.digest)
    assert verified(links, head).first_bad == seq + 1


def test_a_truncated_end_is_named():
    links = chain(8)
    assert verified(links[:6], (8, links[-1][1])).first_bad == 7


def test_a_rewritten_last_entry_does_not_fit_the_head():
    links = chain(3)
    forged = replace(links[2][0], actor="eve")
    assert verified([*links[:2], (forged, forged.digest)], (3, links[2][1])).first_bad == 3


def test_a_body_is_canonical_and_finite():
    assert canonical_body({"b": 1, "a": 1.0}) == '{"a":1,"b":1}'
    with pytest.raises(InvalidError):
        canonical_body({"a": float("nan")})


@given(st.text(max_size=30), st.integers(1, 2**53 - 1))
def test_an_entry_is_the_same_whoever_finds_its_place(subject, seq):
    body = canonical_body({"said": subject, "previous": GENESIS, "seq": 0})
    placeless = Link(0, AT, "ada", "act", subject, body, GENESIS)
    first, second, third = placeless.around_its_place
    placed = replace(placeless, seq=seq, previous="sha256:" + "a" * 64)
    assert placed.canonical.decode() == f"{first}{placed.previous}{second}{seq}{third}"
