"""Nine days of the demo, through a real server: everything but the year's later troubles.

After eight, the controller has enough labels to retrain by itself, and judges what it has trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

DAYS = 9


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """What `mlreg demo` printed, as one document, and the folder of its picture."""
    folder = tmp_path_factory.mktemp("demo")
    words = [sys.executable, "-m", "mlreg.cli", "demo", "--json", f"--days={DAYS}"]
    words.append(f"--picture={folder / 'year.png'}")
    environ = {**os.environ, "TMPDIR": str(folder), "MLREG_URL": "http://127.0.0.1:9"}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


def test_document_has_the_promised_keys(played):
    document, _ = played
    for name in ("static", "controlled"):
        assert {"auc", "log_loss", "by_month"} <= set(document[name])
        assert set(document[name]["by_month"]) == {"2013-02"}
    revision = document["revisions"][0]
    assert {"number", "champion", "cause", "actor", "at", "reason"} <= set(revision)
    assert {
        *("firings_by_trigger", "runs_by_lane", "run_seconds_by_lane", "decisions_by_verdict"),
        *("outage", "rollback", "seconds"),
    } <= set(document)


def test_controller_retrains_and_decides_by_itself(played):
    document, _ = played
    assert document["firings_by_trigger"]["labelled_rows"] >= 1
    assert sum(document["runs_by_lane"].values()) >= 2
    assert document["runs_failed"] == 0
    assert sum(document["decisions_by_verdict"].values()) == sum(document["runs_by_lane"].values())


def test_first_version_is_promoted_by_a_person(played):
    document, _ = played
    first = document["revisions"][0]
    assert (first["number"], first["champion"], first["cause"]) == (1, 1, "promote")


def test_both_models_are_measured_on_the_same_labelled_flights(played):
    document, _ = played
    static, controlled = document["static"], document["controlled"]
    assert static["rows"] == controlled["rows"] > 900 * DAYS * 0.8
    assert 0.55 < static["auc"] < 0.8
    assert 0.3 < controlled["log_loss"] < 0.7


def test_nothing_is_left_behind(played):
    _, folder = played
    assert sorted(path.name for path in folder.iterdir()) == ["year.png"]
    assert (folder / "year.png").read_bytes().startswith(b"\x89PNG")
