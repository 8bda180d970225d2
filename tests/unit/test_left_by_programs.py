"""What a program leaves: its artifact, its metrics, its scores, its last words, its signal."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.signal_names import name_of_signal
from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.trainers.command_answers import read_metrics, read_scores
from mlreg.controller.trainers.errors import ScoresError, TrainingFailedError
from mlreg.controller.trainers.files import copy_plain, digest_of_files
from mlreg.controller.trainers.scores import Outputs, checked_scores
from mlreg.registry.domain.manifests import InvalidManifestError

BINARY, THREE = Outputs("binary", 2), Outputs("multiclass", 3)
AGAINST_ALL = Outputs("multiclass", 3, adds_up=False)


def vanish(folder):
    folder.rmdir()


def become_a_link(folder):
    folder.rmdir()
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "model").write_text("not ours")
    folder.symlink_to(folder.parent / "elsewhere")


def become_a_loop(folder):
    folder.rmdir()
    folder.symlink_to(folder)


def become_a_file(folder):
    folder.rmdir()
    folder.write_text("x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (vanish, "cannot be read: No such file"),
        (become_a_link, "is no folder any more"),
        (become_a_loop, "is no folder any more"),
        (become_a_file, "is no folder any more"),
        (os.listdir, "is empty"),
    ],
)
def test_an_artifact_folder_that_is_none_any_more_is_a_failed_training(tmp_path, change, said):
    folder = tmp_path / "artifact"
    folder.mkdir()
    change(folder)
    with pytest.raises(TrainingFailedError, match=said):
        copy_plain(folder, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_text_is_refused_as_a_name(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff")).write_text("x")
    with pytest.raises(InvalidManifestError, match="printable letters only"):
        digest_of_files(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        '{"auc": "0.9"}',
        '{"auc": true}',
        '{"auc": null}',
        '{"auc": 0.9, "auc": 0.1}',
        "[1]",
        "[" * 50_000,
        '{"auc": ',
        b"\xff\xfe",
        b'{"a": 1' + b" " * 70_000 + b"}",
    ],
)
def test_metrics_that_are_no_numbers_by_name_are_refused(tmp_path, content):
    file = tmp_path / "metrics.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingFailedError, match="no JSON object of numbers"):
        read_metrics(file)


def test_a_metric_that_is_not_finite_is_left_out_and_said(tmp_path, capsys):
    file = tmp_path / "metrics.json"
    file.write_text('{"auc": NaN, "loss": 1e999, "rounds": 7, "a b": 1}')
    assert read_metrics(file) == {"rounds": 7.0}
    assert "'a b' has no finite number or no plain name; 3 left out" in capsys.readouterr().out


def test_metrics_of_gigabytes_are_not_read(tmp_path):
    file = tmp_path / "metrics.json"
    with file.open("wb") as sparse:
        sparse.truncate(2**42)  # more than there is memory
    with pytest.raises(TrainingFailedError, match="larger than 65536 bytes"):
        read_metrics(file)


def test_metrics_behind_a_link_that_leads_nowhere_are_no_missing_metrics(tmp_path):
    (tmp_path / "metrics.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TrainingFailedError):
        read_metrics(tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([[0.2], [0.3, 0.3, 0.4]], "not all of one length"),  # four numbers: two rows of two
        ([[], []], "empty"),
        ([[0.5], None], "not all of one length"),
        (["0.5", "0.5"], "no readable column"),
        ([True, False], "no readable column"),
        ([["a"], ["b"]], "no readable column"),
    ],
)
def test_scores_that_are_not_one_list_of_numbers_per_row_are_refused(tmp_path, column, said):
    pq.write_table(pa.table({"score": column}), tmp_path / "scores.parquet")
    with pytest.raises(ScoresError, match=said):
        read_scores(tmp_path / "scores.parquet")


@pytest.mark.parametrize(
    ("outputs", "scores", "said"),
    [
        (BINARY, [7.3, 0.5], "7.3 is no probability; 1 are below 0 or above 1"),
        (BINARY, [0.5, -0.5], "-0.5 is no probability"),
        (BINARY, [[0.5, 0.5], [0.5, 0.5]], "2 per row came back, and a binary model answers one"),
        (Outputs("regression"), [[1.0], [2.0]], "1 per row came back, and a regression model"),
        (THREE, [0.1, 0.2], "1 per row came back for 3 classes"),
        (THREE, [[0.5, 0.5], [0.5, 0.5]], "2 per row came back for 3 classes"),
        (THREE, [[0.5, 0.5, 2.0], [0.1, 0.2, 0.7]], "2 is no probability"),
        (THREE, [[0.9, 0.9, 0.1], [0.1, 0.2, 0.7]], "add up to 1.9, not to 1, in 1 of 2 rows"),
        (AGAINST_ALL, [[0.0, 0.0, 0.0], [0.1, 0.2, 0.7]], "add up to 0, not to 1, in 1 of 2"),
        (None, [0.5, float("inf")], "1 of 2 are not finite"),
    ],
)
def test_scores_have_to_be_what_the_task_wants(outputs, scores, said):
    with pytest.raises(ScoresError, match=said):
        checked_scores("challenger", np.array(scores), 2, outputs)


@pytest.mark.parametrize(
    ("outputs", "scores"),
    [
        (BINARY, [1 + 1e-9, -1e-9]),
        (Outputs("regression"), [-1e9, 1e9]),
        (Outputs("ranking"), [-3.0, 3.0]),
        (THREE, [[0.2, 0.2, 0.6004], [0.0, 0.0, 1.0]]),  # of a library that counts in float32
        (AGAINST_ALL, [[0.9, 0.9, 0.1], [0.0, 0.0, 1.0]]),
    ],
)
def test_scores_of_a_task_pass(outputs, scores):
    assert checked_scores("challenger", np.array(scores), 2, outputs) is not None


@given(st.text(st.characters(codec=None), max_size=40))
def test_plain_text_can_be_stored_and_printed_anywhere(text):
    plain = plain_text(text)
    plain.encode()
    assert "\0" not in plain
    assert "\x1b" not in plain
    assert len(plain.splitlines()) <= 1
    assert plain_text(plain) == plain


def test_colours_and_titles_go_and_words_stay():
    assert plain_text("\x1b[1;31mno\x1b[0m \x1b]0;title\x07rows\0\r\nat\tall") == "no rows at\tall"


def test_signals_without_a_name_are_told_by_number():
    assert [name_of_signal(number) for number in (9, 11, 40)] == ["SIGKILL", "SIGSEGV", "signal 40"]
