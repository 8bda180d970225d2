"""Merkle trees against the vectors of the certificate-transparency project, and against proofs."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.registry.domain.merkle import (
    EMPTY_ROOT,
    Range,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    root_of,
)

LEAVES = [
    bytes.fromhex(one)
    for one in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATH_OF_FIRST = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]


def test_the_roots_are_those_of_the_reference():
    assert EMPTY_ROOT == sha256(b"").digest() == Range().root
    assert [root_of(LEAVES[: size + 1]).hex() for size in range(8)] == ROOTS


def test_the_proof_of_the_first_leaf_is_that_of_the_reference():
    assert [one.hex() for one in inclusion_proof(LEAVES, 0)] == PATH_OF_FIRST


@pytest.mark.parametrize("size", range(1, 20))
def test_every_leaf_is_shown_to_be_included_and_no_other(size):
    leaves = [bytes([number]) for number in range(size)]
    root = root_of(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        assert is_included(leaves[index], index, size, proof, root)
        assert not is_included(b"another", index, size, proof, root)
        assert not is_included(leaves[index], index, size, [*proof, root], root)
        if size > 1:
            assert not is_included(leaves[index], (index + 1) % size, size, proof, root)
    assert not is_included(leaves[0], size, size, [], root)


@pytest.mark.parametrize("size", range(1, 20))
def test_growth_is_shown_and_rewriting_is_not(size):
    leaves = [bytes([number]) for number in range(size)]
    root = root_of(leaves)
    for old_size in range(1, size + 1):
        old_root = root_of(leaves[:old_size])
        proof = consistency_proof(leaves, old_size)
        assert is_consistent(old_size, old_root, size, root, proof)
        rewritten = root_of([b"another", *leaves[1:old_size]])
        assert not is_consistent(old_size, rewritten, size, root, proof)
        assert not is_consistent(old_size, old_root, size, root, [*proof, root])
    assert is_consistent(0, EMPTY_ROOT, size, root, [])
    assert not is_consistent(size + 1, root, size, root, [])


@given(st.lists(st.binary(max_size=40), max_size=70), st.data())
@settings(max_examples=50, deadline=None)
def test_a_range_goes_on_where_it_ended(leaves, data):
    cut = data.draw(st.integers(0, len(leaves)))
    first = Range().extended(leaves[:cut])
    assert first.extended(leaves[cut:]).root == root_of(leaves)
    assert len(first.hashes) == cut.bit_count()


def test_a_range_with_a_hash_too_few_is_refused():
    with pytest.raises(ValueError, match="full subtrees"):
        Range(3, (b"one",))
