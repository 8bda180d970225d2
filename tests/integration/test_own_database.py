"""What works on a data folder without the API: doctor, and a new admin token."""

import json
import time

import pytest

from mlreg.client.client import Client
from mlreg.client.errors import NotAllowedError
from tests.faults.workers import PATIENCE_SECONDS


@pytest.mark.slow
def test_a_new_admin_token_with_and_without_a_running_server(start_mlreg, tmp_path):
    """It is the only one that opens; a second start keeps it, and everything else."""
    running = start_mlreg(tmp_path / "data")
    running.cli("model", "create", "flights", "--task=binary")
    first = running.token
    running.cli("token", "reset-admin", f"--data={running.data}")
    second = running.token
    ended = time.monotonic() + PATIENCE_SECONDS
    while is_let_in(running, first):
        assert time.monotonic() < ended, "the former token still opens"
    assert is_let_in(running, second)
    running.stop()
    running.cli("token", "reset-admin", f"--data={running.data}")
    third = running.token
    again = start_mlreg(tmp_path / "data")
    assert again.token == third
    assert again.cli("model", "show", "flights", "--json").returncode == 0
    assert is_let_in(again, third)
    assert not is_let_in(again, second)


def is_let_in(running, token) -> bool:
    with Client(running.url, token) as client:
        try:
            client.models.list()
        except NotAllowedError:
            return False
    return True


def test_doctor_finds_a_running_mlreg_well(mlreg):
    done = mlreg.cli("doctor", f"--data={mlreg.data}", "--json")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["items"]}
    assert all(finding["well"] for finding in findings.values())
    assert {"database", "schema", "role", "clock", "artifacts", "space"} <= set(findings)


def test_doctor_on_an_empty_folder(mlreg, tmp_path):
    done = mlreg.cli("doctor", f"--data={tmp_path}", check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("mlreg: there is no mlreg in ")
    assert done.stderr.count("\n") == 1


def test_a_virtual_clock_says_so(virtual_mlreg):
    done = virtual_mlreg.cli("doctor", f"--data={virtual_mlreg.data}")
    assert "virtual, at 20" in done.stdout
