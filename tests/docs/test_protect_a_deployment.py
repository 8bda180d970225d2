"""Every command of the page on approvals, each by who is named above it, on a real `mlreg up`."""

from __future__ import annotations

import json
import re
import shlex

from mlreg.cli.folder import DataFolder
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import OWNER
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.registry.services.catalog import get_model
from mlreg.registry.store.database import Database
from tests.docs.test_readme import ROOT, blocks
from tests.makers import make_decision

MODEL = "guarded"
PAGE = (ROOT / "docs" / "how-to" / "protect-a-deployment.md").read_text().replace("flights", MODEL)
EVERYTHING = (
    "git",
    "data",
    "contract",
    "hyperparameters",
    "seeds",
    "environment",
    "trainer",
    "lane",
)


def register(client, folder):
    client.models.create(ModelRequest(name=MODEL, target=TargetForm(task="binary")))
    for number in (1, 2, 3):
        file = folder / f"{number}.bin"
        file.write_bytes(f"{MODEL}/{number}".encode())
        client.versions.register(
            MODEL,
            file,
            lambda files: VersionRequest(
                files=list(files), provenance=ProvenanceForm(), allow_missing=list(EVERYTHING)
            ),
        )


def decide(mlreg, challenger, champion):
    """Write an accepted decision, as a run of the controller would."""
    url = EmbeddedPostgres(DataFolder(mlreg.data).cluster).url("mlreg", OWNER)
    database = Database(url)
    with database.writing() as session:
        number = make_decision(session, get_model(session, MODEL).id, challenger, champion)
    database.dispose()
    return number


def test_every_command_of_the_page(mlreg, tmp_path):
    with mlreg.client() as client:
        register(client, tmp_path)
    tokens, actor, refused, decision = {"admin": mlreg.token}, "admin", False, 0
    for line in "\n".join(blocks(PAGE, "bash")).splitlines():
        if line.startswith("#"):
            actor, _, what = line.removeprefix("# ").partition(", ")
            refused = what == "refused"
            continue
        words = shlex.split(line)[1:]
        if not words:
            continue
        if words[:2] == ["approval", "request"]:
            decision = decide(mlreg, 2, 1)
        environ = {**mlreg.environ, "MLREG_TOKEN": tokens[actor]}
        done = mlreg.cli(*words, check=False, cwd=tmp_path, environ=environ)
        assert (done.returncode == 0) != refused, f"{line}: {done.stdout}{done.stderr}"
        if words[:2] == ["token", "create"]:
            tokens[words[2]] = done.stdout.strip()
    check(mlreg, decision, {**mlreg.environ, "MLREG_TOKEN": tokens["ada"]})


def check(mlreg, decision, as_ada):
    revisions = json.loads(mlreg.cli("history", MODEL, "--json").stdout)["items"]
    newest = revisions[0]
    assert (newest["champion"], newest["forced"], newest["broke_glass"]) == (3, True, True)
    assert [one["approvers"] for one in revisions if one["champion"] == 1][:1] == [["ada", "bea"]]
    listed = mlreg.cli("incident", "list", "--model", MODEL, "--json").stdout
    incidents = json.loads(listed)["items"]
    assert [one["kind"] for one in incidents] == ["broken_glass"]
    outdated = mlreg.cli("decision", "approve", str(decision), check=False, environ=as_ada)
    assert outdated.returncode == 1
    assert "no longer decides" in outdated.stderr
    for code in re.findall(r"`([a-z]+_[a-z]+)`", PAGE):
        assert code in {"approval_required", "own_version"}
