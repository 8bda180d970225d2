"""The page about access shows the table that the server goes by, and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_group

from mlreg.cli.app import load, root
from mlreg.client.wire.tokens import IssuerRequest
from mlreg.registry.domain.oidc import Trust, check_trust
from mlreg.registry.domain.permissions import ACTIONS, ALLOWED, INSTALLATION

DOCS = Path(__file__).parents[2] / "docs"
ACCESS = (DOCS / "reference" / "access.md").read_text()
CI = (DOCS / "how-to" / "ci-without-secrets.md").read_text()
COLUMNS = ("viewer", "ci", "operator", "approver", "controller", "admin")


def test_the_table_is_the_servers_own():
    rows = re.findall(r"^\| `([a-z.]+)`(\*?) \| [^|]+ \| (.+) \|$", ACCESS, re.MULTILINE)
    shown = {action: cells.split(" | ") for action, _, cells in rows}
    assert set(shown) == ACTIONS
    for action, cells in shown.items():
        said = dict(zip(COLUMNS, cells, strict=True))
        real = {role: "yes" if action in ALLOWED[role] else "-" for role in COLUMNS}
        assert said == real, action
    assert {action for action, star, _ in rows if star} == INSTALLATION


def test_the_commands_exist():
    words = re.findall(r"`?mlreg (\w+) ?([a-z-]*)", ACCESS + CI)
    for command, below in set(words):
        if command in {"oidc", "refuses", "checks"}:
            continue
        found = load(command)
        names = getattr(found, "commands", None)
        assert names is None or not below or below in names, (command, below)
    assert get_group(root)


def test_the_trusts_that_are_shown_are_taken():
    for text in re.findall(r"```\n(mlreg issuer add.*?)```", CI, re.DOTALL):
        claims = dict(re.findall(r"--claim (\w+)=(\S+)", text))
        request = IssuerRequest(
            name="x",
            issuer=re.search(r"--url (\S+)", text)[1],
            audience=re.search(r"--audience (\S+)", text)[1],
            claims={name: [value] for name, value in claims.items()},
            private="--private" in text,
        )
        trust = Trust(**{**request.model_dump(exclude={"models"}), "algorithms": ("RS256",)})
        check_trust(trust)
