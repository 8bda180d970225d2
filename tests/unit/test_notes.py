"""Signed notes and checkpoints: the vector of Go's sumdb/note, and what is refused."""

import pytest

from mlreg.registry.domain.checkpoints import Checkpoint, Held, RootsAt, contradiction
from mlreg.registry.domain.checkpoints import parse_checkpoint as checkpoint_of
from mlreg.registry.domain.merkle import root_of
from mlreg.registry.domain.note_keys import SignerKey, VerifierKey
from mlreg.registry.domain.notes import NoteError, parse_note, parse_notes

VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)


def test_the_note_of_the_reference_verifies_and_is_signed_alike():
    note = parse_note(NOTE)
    assert VerifierKey.parse(VERIFIER).signed(note)
    signer = SignerKey.parse(SIGNER)
    assert str(signer.verifier) == VERIFIER
    assert signer.secret_text == SIGNER
    assert str(signer.sign(note.text)) == NOTE


def test_another_text_or_another_key_does_not_verify():
    assert not VerifierKey.parse(VERIFIER).signed(parse_note(NOTE.replace("answer", "reply")))
    assert not SignerKey.generate("PeterNeumann").verifier.signed(parse_note(NOTE))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "text\n",
        "text\n\n— name\n",
        "text\n\n— name !!!\n",
        "— name AAAAAAAA\n",
        NOTE + "\n" + NOTE,
    ],
)
def test_what_is_no_note_is_refused(written):
    with pytest.raises(NoteError):
        parse_note(written)


@pytest.mark.parametrize(
    "written",
    ["", "a+b", "name+00000000+AAAA", VERIFIER.replace("c74f", "c74e"), SIGNER],
)
def test_what_is_no_verifier_key_is_refused(written):
    with pytest.raises(NoteError):
        VerifierKey.parse(written)


def test_a_signer_key_is_not_shown():
    key = SignerKey.parse(SIGNER)
    assert "AYEK" not in repr(key)
    with pytest.raises(NoteError) as caught:
        SignerKey.parse(SIGNER.replace("c74f", "c74e"))
    assert "AYEK" not in str(caught.value)


def test_checkpoints_follow_each_other_in_one_file():
    key = SignerKey.generate("mlreg")
    written = [Checkpoint("mlreg/1", size, bytes([size] * 32)) for size in (1, 2, 30)]
    file = "\n".join(str(key.sign(one.text)) for one in written)
    notes = list(parse_notes(file))
    assert [checkpoint_of(note) for note in notes] == written
    assert all(key.verifier.signed(note) for note in notes)


@pytest.mark.parametrize("text", ["one\n", "mlreg\nmany\nAAAA\n", "mlreg\n01\nAAAA\n", "m\n1\n?\n"])
def test_a_note_of_something_else_is_no_checkpoint(text):
    with pytest.raises(NoteError):
        checkpoint_of(SignerKey.generate("mlreg").sign(text))


DIGESTS = [f"sha256:{number:064x}" for number in range(10)]
LEAVES = [bytes.fromhex(one[7:]) for one in DIGESTS]


def held(*sizes):
    return [Held(size, root_of(LEAVES[:size])) for size in sizes]


def judged(digests, against):
    roots = RootsAt(one.size for one in against)
    for digest in digests:
        roots.add(digest)
    return contradiction(against, roots.roots, len(digests))


def test_a_log_that_only_grew_contradicts_nothing():
    assert judged(DIGESTS, held(0, 3, 3, 10)) == (0, "")


def test_a_truncated_log_is_disproved_at_its_end():
    first, reason = judged(DIGESTS[:6], held(3, 9))
    assert (first, "ends at 6" in reason) == (7, True)


def test_a_rewritten_log_is_disproved_from_the_last_root_that_holds():
    rewritten = [*DIGESTS[:5], "sha256:" + "f" * 64, *DIGESTS[6:]]
    first, reason = judged(rewritten, held(4, 8, 10))
    assert (first, "5..8" in reason) == (5, True)
    assert judged(rewritten, held(5, 6))[0] == 6
