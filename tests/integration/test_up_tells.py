"""A whole `mlreg up`: its worker signs the audit log and tells webhooks, as the pages say."""

from __future__ import annotations

import json
import re

import pytest

from mlreg.registry.domain.note_keys import VerifierKey
from mlreg.registry.domain.notes import parse_note
from tests.faults.workers import await_true
from tests.servers.receiver import Receiver


@pytest.fixture
def receiver(tmp_path):
    receiver = Receiver(tmp_path / "receiver").start()
    yield receiver
    receiver.stop()


def test_an_installation_signs_its_log_and_tells_others(start_mlreg, receiver, tmp_path):
    mlreg = start_mlreg(
        tmp_path / "data",
        environ={
            "MLREG_WEBHOOK_ALLOW": receiver.place,
            "MLREG_WEBHOOK_CA_FILE": str(receiver.ca_file),
        },
    )
    made = mlreg.cli("webhook", "create", "hook", "--url", receiver.url)
    assert re.search(r"whsec_\S+", made.stdout)
    assert mlreg.cli("webhook", "test", "hook").stdout.startswith("delivered: 200")
    assert [one["type"] for one in receiver.bodies] == ["dev.mlreg.webhook.test"]
    (shown,) = json.loads(mlreg.cli("webhook", "list", "--json").stdout)["items"]
    assert (shown["attempts"], shown["last_outcome"]) == (0, "200")
    assert "webhook.test" in mlreg.cli("webhook", "deliveries", "hook").stdout
    assert "a test of webhook hook by admin" in mlreg.cli("events").stdout

    with mlreg.client() as client:
        await_true(lambda: client.audit.find_checkpoint() is not None)
        newest = client.audit.find_checkpoint()
    key = (tmp_path / "data" / "checkpoints" / "key.pub").read_text().strip()
    assert VerifierKey.parse(key).signed(parse_note(newest.note))
    kept = str(tmp_path / "data" / "checkpoints" / "checkpoints")
    said = mlreg.cli("audit", "verify", "--checkpoint", kept, "--key", key).stdout
    assert "checkpoints agree" in said
