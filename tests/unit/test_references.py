"""References, flavours, provenance: small rules in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.flavours import flavour_of, flavour_of_file, is_unsafe
from mlreg.registry.domain.provenance import (
    GitState,
    InvalidProvenanceError,
    Provenance,
    accepted_missing,
    without_user,
)
from mlreg.registry.domain.references import Reference, parse_reference

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
REFERENCES = st.one_of(
    st.builds(Reference, NAMES),
    st.builds(Reference, NAMES, number=st.integers(1, 2**31 - 1)),
    st.builds(Reference, NAMES, environment=NAMES),
)


@given(REFERENCES)
def test_a_reference_reads_back(reference):
    assert parse_reference(str(reference)) == reference


def test_the_four_forms():
    assert parse_reference("flights") == Reference("flights")
    assert parse_reference("flights/12") == Reference("flights", number=12)
    assert parse_reference("flights@champion").environment == "production"
    assert parse_reference("flights@champion:staging").environment == "staging"


@pytest.mark.parametrize(
    "text",
    ["", "/1", "flights/", "flights/0", "flights/-1", "flights/9999999999", "flights/1/2", "a b",
     "flights@latest", "flights@champion:", "flights#champion", "flights/1@champion", "Flights",
     "../x", "flights@champion:a:b", "flights/٣"],
)  # fmt: skip
def test_anything_else_is_none(text):
    with pytest.raises(InvalidError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("path", "head", "flavour"),
    [
        ("model.txt", b"tree\nversion=v4\n", "lightgbm-text"),
        ("model.pkl", b"tree\nversion=v4\n", "lightgbm-text"),
        ("notes.txt", b"trees are green", "opaque"),
        ("model.pkl", b"", "pickle"),
        ("model.JOBLIB.gz", b"\x1f\x8b", "pickle"),
        ("innocent.bin", b"\x80\x04\x95", "pickle"),
        ("weights.pt", b"PK", "pickle"),
        ("model.onnx", b"\x08\x01", "onnx"),
        ("model.safetensors", b"{}", "safetensors"),
    ],
)
def test_flavours_are_told_without_loading(path, head, flavour):
    assert flavour_of_file(path, head) == flavour


def test_one_pickle_makes_the_whole_unsafe():
    assert flavour_of(["opaque", "lightgbm-text", "pickle"]) == "pickle"
    assert flavour_of(["opaque", "onnx", "lightgbm-text"]) == "onnx"
    assert flavour_of(["opaque"]) == "opaque"
    assert is_unsafe("pickle")
    assert not is_unsafe("lightgbm-text")


@given(st.sets(st.sampled_from(Provenance().lacking)))
def test_exactly_the_named_fields_may_lack(allowed):
    try:
        missing = accepted_missing(Provenance(), frozenset(allowed))
    except InvalidError:
        assert allowed != set(Provenance().lacking)
    else:
        assert set(missing) == allowed


def test_a_stateful_lane_needs_its_parent():
    assert "parent" not in Provenance(lane="full").lacking
    assert "parent" in Provenance(lane="continue").lacking
    assert "parent" not in Provenance(lane="refit", parent=3).lacking


def test_forms_of_provenance_are_checked():
    for broken in (
        lambda: GitState("main", dirty=False, remote=None),
        lambda: Provenance(lane="fast"),
        lambda: Provenance(parent=0),
        lambda: Provenance(snapshots=("yesterday",)),
    ):
        with pytest.raises(InvalidError):
            broken()
    with pytest.raises(InvalidProvenanceError):
        accepted_missing(Provenance(), frozenset({"everything"}))


@pytest.mark.parametrize(
    ("remote", "clean"),
    [
        ("https://anna:secret@example.org/r.git", "https://example.org/r.git"),
        ("https://token@example.org/r.git", "https://example.org/r.git"),
        ("https://example.org/a@b.git", "https://example.org/a@b.git"),
        ("git@example.org:r.git", "git@example.org:r.git"),
    ],
)
def test_secrets_of_remotes_are_cut(remote, clean):
    assert without_user(remote) == clean
    assert GitState("a" * 40, dirty=False, remote=remote).to_json()["remote"] == clean
