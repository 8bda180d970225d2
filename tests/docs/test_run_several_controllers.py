"""The page on several controllers: every command of it, with real processes told to stop."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from mlreg.client.client import Client
from tests.docs.test_readme import ROOT, blocks
from tests.faults.workers import PATIENCE_SECONDS, await_true

PAGE = (ROOT / "docs" / "how-to" / "run-several-controllers.md").read_text()
CONTROL, WORK, *LOOKS = [
    line for block in blocks(PAGE, "bash") for line in block.strip().splitlines()
]
LEADS = text("SELECT holder = :holder AND until >= clock_timestamp() FROM leader")


@contextmanager
def role(line, environ):
    process = subprocess.Popen(
        [sys.executable, "-m", "mlreg.cli", *shlex.split(line)[1:]],
        env=environ,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def leader(client):
    found = [one for one in client.members.controllers() if one.there and one.leads]
    assert len(found) <= 1
    return found[0].name if found else None


def process_of(name, processes):
    return next(one for one in processes if f":{one.pid}-" in name)


@pytest.mark.nightly
def test_every_command_of_the_page(postgres, template, tmp_path):
    from tests.servers.whole_api import whole_api

    with whole_api(postgres, template, tmp_path, "several") as api:
        environ = {
            **os.environ,
            "MLREG_DATABASE_URL": api.parts.database.url,
            "MLREG_ARTIFACTS_URL": (tmp_path / "artifacts").as_uri(),
            "MLREG_WORK_FOLDER": str(tmp_path),
            "MLREG_URL": api.url,
            "MLREG_TOKEN": api.token,
        }
        with (
            role(CONTROL, environ) as one,
            role(CONTROL, environ) as other,
            role(WORK, environ) as worker,
            Client(api.url, api.token) as client,
        ):
            await_true(lambda: leader(client) and client.members.workers())
            await_true(lambda: len(client.members.controllers()) == 2)
            assert client.members.workers()[0].labels == ["big", "gpu"]
            for line in LOOKS:
                words = [sys.executable, "-m", "mlreg.cli", *shlex.split(line)[1:]]
                said = subprocess.run(
                    words, env=environ, capture_output=True, text=True, check=True
                )
                if line == "mlreg doctor":
                    assert "standing by: 1" in said.stdout
                    assert "labels: big, gpu" in said.stdout
            [block] = blocks(PAGE, "python")
            subprocess.run([sys.executable, "-c", block], env=environ, check=True)

            former = leader(client)
            process_of(former, (one, other)).send_signal(signal.SIGTERM)
            assert process_of(former, (one, other)).wait(PATIENCE_SECONDS) == 0
            with api.parts.database.reading() as session:  # given back, not left to run out
                assert not session.execute(LEADS, {"holder": former}).scalar_one()
            await_true(lambda: leader(client) not in {None, former})
            assert former not in json.dumps([m.name for m in client.members.controllers()])

            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_SECONDS) == 0
            assert client.members.workers() == []

            last = process_of(leader(client), (one, other))
            last.send_signal(signal.SIGSTOP)  # so that it cannot end by the first
            last.send_signal(signal.SIGTERM)
            last.send_signal(signal.SIGINT)
            last.send_signal(signal.SIGCONT)
            assert last.wait(PATIENCE_SECONDS) in {0, 128 + signal.SIGINT, 128 + signal.SIGTERM}
