"""The commands of deployments, tokens and audit against a real server: output and exit codes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest
from sqlalchemy import text

from mlreg.cli.app import COMMANDS, load
from mlreg.registry.store.database import Database
from tests.makers import make_models, put_bytes


@pytest.fixture
def mlreg(api, tmp_path):
    def run(*arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if "MLREG" not in name}
        return subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *arguments],
            env={
                **clean,
                "MLREG_CONFIG_DIR": str(tmp_path / "config"),
                "MLREG_URL": api.url,
                "MLREG_TOKEN": api.token,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def flights(api, database):
    make_models(database)
    put_bytes(api.parts.store)


def refused(done, code):
    assert done.returncode == code, done
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("mlreg: ")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name):
    assert load(name).name


@pytest.mark.usefixtures("flights")
def test_from_promote_to_rollback(mlreg):
    assert "revision 1: version 1" in mlreg("promote", "flights", "1").stdout
    assert "no accepted" not in refused(mlreg("promote", "flights", "2"), 1)
    told = mlreg("promote", "flights", "2", "--json")
    assert json.loads(told.stderr)["exit"] == told.returncode == 1
    forced = mlreg("promote", "flights", "v2", "--force", "--reason", "we must")
    assert "was version 1" in forced.stdout
    back = mlreg("rollback", "flights", "--json")
    assert json.loads(back.stdout)["champion"] == 1
    assert "unfreeze" in back.stderr
    assert "frozen" in mlreg("status").stdout
    history = json.loads(mlreg("history", "flights", "--json").stdout)["items"]
    assert [item["cause"] for item in history] == ["rollback", "promote", "promote"]
    assert mlreg("unfreeze", "flights").returncode == 0
    assert "hold" in mlreg("audit", "verify").stdout


@pytest.mark.usefixtures("flights")
def test_what_goes_wrong_is_one_line_and_its_exit_code(mlreg):
    refused(mlreg("promote", "flights", "x"), 2)
    refused(mlreg("promote", "flights", "2", "--force"), 2)
    refused(mlreg("promote", "nosuch", "1"), 3)
    refused(mlreg("promote", "flights", "99"), 3)
    refused(mlreg("promote", "flights", "1", "--env", "nowhere"), 3)
    refused(mlreg("rollback", "flights"), 3)
    refused(mlreg("promote", "flights", "1", "--expect", "7"), 1)
    assert "MLREG_URL" in refused(mlreg("status", MLREG_URL="http://127.0.0.1:1"), 5)
    refused(mlreg("status", MLREG_TOKEN="mlr_wrong"), 4)
    assert "mlreg login" in refused(mlreg("status", MLREG_TOKEN=""), 4)
    assert mlreg("nonsense").returncode == 2
    assert "Did you mean 'promote'" in refused(mlreg("promot", "flights", "1"), 2)


def test_log_in_remembers_the_token_for_its_user_only(mlreg, api, tmp_path):
    done = mlreg("login", api.url)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "config" / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert mlreg("status", MLREG_TOKEN="", MLREG_URL="").returncode == 0
    refused(mlreg("login", api.url, MLREG_TOKEN="mlr_wrong"), 4)


def test_a_token_is_shown_once_and_ends_when_revoked(mlreg):
    issued = json.loads(mlreg("token", "create", "ci", "--kind", "service", "--json").stdout)
    assert mlreg("status", MLREG_TOKEN=issued["token"]).returncode == 0
    listed = mlreg("token", "list").stdout
    assert issued["id"] in listed
    assert issued["token"] not in listed
    assert mlreg("token", "revoke", issued["id"]).returncode == 0


@pytest.mark.usefixtures("flights")
def test_verify_names_the_first_bad_entry(mlreg, database, postgres):
    mlreg("promote", "flights", "1")
    superuser = Database(postgres.url(database.engine.url.database))
    with superuser.engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("UPDATE audit_entry SET actor = 'eve' WHERE seq = 2"))
    superuser.dispose()
    done = mlreg("audit", "verify")
    assert done.returncode == 8
    assert "entry 2 is bad" in done.stderr


def test_help_and_status_import_nothing_heavy(api):
    known = {**os.environ, "MLREG_URL": api.url, "MLREG_TOKEN": api.token}
    for argument in ("--help", "status"):
        code = (
            "import sys; from mlreg.cli.app import main\n"
            f"try: main([{argument!r}])\n"
            "except SystemExit as end: assert not end.code, end.code\n"
            "heavy = {'httpx', 'numpy', 'pyarrow', 'sqlalchemy', 'fastapi', 'rich', 'lightgbm'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=known, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
