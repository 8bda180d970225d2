"""Every command of the page on signatures, on a real `mlreg up`; what the page says is refused."""

from __future__ import annotations

import shlex

from tests.docs.test_readme import ROOT, commands
from tests.upload_makers import MISSING, make_model

MODEL = "signed"
PAGE = (ROOT / "docs" / "how-to" / "sign-and-verify.md").read_text().replace("flights", MODEL)
ALLOWED = ["--allow-missing", ",".join(MISSING)]


def test_every_command_of_the_page(mlreg, tmp_path):
    with mlreg.client() as client:
        make_model(client, MODEL)
    (tmp_path / "model.txt").write_text("no LightGBM model")
    said = [run(mlreg, line, tmp_path) for line in commands(PAGE)]
    assert "signed by key" in said[-1]
    unsigned = mlreg.cli(
        "version", "register", MODEL, "model.txt", *ALLOWED, check=False, cwd=tmp_path
    )
    assert (unsigned.returncode, "signed versions only" in unsigned.stderr) == (1, True)


def run(mlreg, line, folder):
    words = shlex.split(line)
    assert words[0] == "mlreg", line
    more = ALLOWED if words[1:3] == ["version", "register"] else []
    done = mlreg.cli(*words[1:], *more, check=False, cwd=folder)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout
