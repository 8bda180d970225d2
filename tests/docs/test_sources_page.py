"""Every command of the page on training from one's own data, on a real `mlreg up`."""

import re
import shlex

import pytest

from mlreg.cli.connections import read_connections
from mlreg.controller.services.policies import parse_policy
from mlreg.controller.sources import errors
from mlreg.registry.domain.errors import RegistryError
from tests.docs.test_readme import ROOT, blocks
from tests.servers.running import RunningMlreg
from tests.source_makers import write_days

PAGE = (ROOT / "docs" / "how-to" / "train-from-your-data.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "sources.md").read_text()


def file_of(name):
    return re.search(rf"```[a-z]+ {name}\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def up(tmp_path):
    lake = tmp_path / "exports"
    write_days(lake / "days", 31, rows_a_day=200)
    connections = tmp_path / "connections.yaml"
    connections.write_text(file_of("connections").replace("/srv/exports", str(lake)))
    connections.chmod(0o600)
    (tmp_path / "features.json").write_text(file_of("features.json"))
    (tmp_path / "policy.yaml").write_text(file_of("policy.yaml").replace("/srv/exports", str(lake)))
    running = RunningMlreg(
        virtual_start="2013-07-03T00:00:00", environ={"MLREG_CONNECTIONS_FILE": str(connections)}
    )
    running.start()
    yield running
    running.stop()


def test_every_command_of_the_page(up, tmp_path):
    lines = [line for block in blocks(PAGE, "bash") for line in block.splitlines()]
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line.replace("/srv/exports", str(tmp_path / "exports")))[1:]
        done = up.cli(*words, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if "lineage" in words:
            assert "source file:///" in done.stdout
    assert "churn/1: identical" in done.stdout


def test_the_other_sources_of_the_page_can_be_applied(tmp_path):
    policy = file_of("policy.yaml")
    source = "  source: /srv/exports/days/*.parquet\n"
    others = re.findall(r"`source: (\"[^`]+\")`", PAGE)
    (query,) = blocks(PAGE, "yaml")
    for other in [f"source: {one}\n" for one in others] + [query]:
        indented = "".join(f"  {line}\n" for line in other.splitlines())
        assert parse_policy(policy.replace(source, indented)).data.source_name is not None
    file = tmp_path / "connections.yaml"
    file.write_text(file_of("connections"))
    file.chmod(0o600)
    assert set(read_connections(file).by_name) == {"exports", "lake", "warehouse"}


def test_every_error_is_named():
    found = [one for one in vars(errors).values() if isinstance(one, type)]
    leaves = {
        one.code
        for one in found
        if issubclass(one, RegistryError) and one.__module__ == errors.__name__
    }
    for code in leaves - {"source_file"}:
        assert f"`{code}`" in REFERENCE, code
