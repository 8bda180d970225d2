"""Every command of the pages on cleaning up and on moving a version, on a real `mlreg up`."""

from __future__ import annotations

import json
import shlex

from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from tests.docs.test_protect_a_deployment import EVERYTHING
from tests.docs.test_readme import ROOT, blocks

MODEL = "tidied"
PAGES = [
    (ROOT / "docs" / "how-to" / name).read_text().replace("flights", MODEL)
    for name in ("clean-up.md", "move-a-version.md")
]


def register(client, folder):
    client.models.create(ModelRequest(name=MODEL, target=TargetForm(task="binary")))
    for number in (1, 2, 3, 4):
        file = folder / f"{number}.bin"
        file.write_bytes(f"{MODEL}/{number}".encode())
        client.versions.register(
            MODEL,
            file,
            lambda files: VersionRequest(
                files=list(files), provenance=ProvenanceForm(), allow_missing=list(EVERYTHING)
            ),
        )


def test_every_command_of_the_pages(mlreg, tmp_path):
    with mlreg.client() as client:
        register(client, tmp_path)
    for line in [
        line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines()
    ]:
        words = shlex.split(line)[1:]
        done = mlreg.cli(*words, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    shown = json.loads(mlreg.cli("version", "show", f"{MODEL}-from-afar/1", "--json").stdout)
    assert shown["imported_from"]["model"] == MODEL
    assert shown["files"][0]["state"] == "verified"
    mlreg.cli("promote", MODEL, "4", "--reason", "first")
    refused = mlreg.cli("version", "delete", f"{MODEL}/4", "--reason", "x", check=False)
    assert refused.returncode == 1
    assert "champion in production" in refused.stderr
    scrubbed = json.loads(mlreg.cli("scrub", "--all", "--json").stdout)
    assert scrubbed["blobs"] >= 5
    assert scrubbed["corrupt"] == []
    path = next((mlreg.data).rglob("blobs/sha256/*/" + shown["files"][0]["digest"][7:]))
    path.unlink()
    broken = mlreg.cli("scrub", "--model", MODEL, check=False)
    assert broken.returncode == 8
    assert f"{MODEL}/1" in broken.stdout
    mlreg.cli("version", "import", "flights-1.mlreg".replace("flights", MODEL), cwd=tmp_path)
    assert mlreg.cli("scrub", "--model", MODEL).returncode == 0
