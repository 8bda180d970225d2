"""The roles as plain processes, on a PostgreSQL and an S3 server that are not the embedded ones."""

import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from mlreg.cli.schema import newest_schema
from tests.faults.workers import PATIENCE_SECONDS
from tests.servers.foreign_postgres import ForeignPostgres
from tests.servers.ports import free_port
from tests.servers.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.s3]


class Production:
    """One machine's worth of roles, as compose.yaml starts them."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.url = f"http://127.0.0.1:{environ['MLREG_PORT']}"
        self.processes: dict[str, subprocess.Popen] = {}
        self.is_upgraded = False

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *words],
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, role: str, log) -> None:
        self.processes[role] = subprocess.Popen(
            [sys.executable, "-m", "mlreg.cli", role], env=self.environ, stdout=log, stderr=log
        )

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> dict[str, int]:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {
            role: process.wait(timeout=PATIENCE_SECONDS) for role, process in self.processes.items()
        }


@pytest.fixture(scope="module")
def foreign_postgres():
    server = ForeignPostgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def production(foreign_postgres, rclone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    return Production(
        {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MLREG_MODE": "production",
            "MLREG_PORT": str(free_port()),
            "MLREG_WORK_FOLDER": str(folder / "work"),
            "MLREG_DATABASE_URL": foreign_postgres.url("mlreg_app"),
            "MLREG_DATABASE_OWNER_URL": foreign_postgres.url("mlreg_owner"),
            "MLREG_ARTIFACTS_URL": "s3://mlreg/production",
            "MLREG_S3_ENDPOINT_URL": rclone.url,
            "MLREG_S3_REGION": "us-east-1",
            "MLREG_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "MLREG_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        }
    )


@pytest.fixture
def upgraded(production):
    """The same with its tables, which another worker's test may have made in its own alone."""
    if not production.is_upgraded:
        done = production.run("db", "upgrade")
        assert done.returncode == 0, done.stderr
        production.is_upgraded = True
    return production


def test_from_an_empty_database_to_a_rollback(foreign_postgres, production, tmp_path):
    if production.is_upgraded:
        foreign_postgres.empty()
    early = production.run("serve")
    assert (early.returncode, early.stderr.count("the database has schema none")) == (1, 1)

    newest = newest_schema()
    assert production.run("db", "upgrade").stdout == f"schema None -> {newest}\n"
    production.is_upgraded = True
    assert production.run("db", "upgrade").stdout == f"schema {newest}: nothing to do\n"
    token = production.run("token", "reset-admin").stdout.strip()
    user = {"MLREG_URL": production.url, "MLREG_TOKEN": token}

    log = (tmp_path / "roles.log").open("w")
    try:
        for role in ("serve", "control", "work"):
            production.start(role, log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not production.is_ready():
            assert time.monotonic() < deadline, (tmp_path / "roles.log").read_text()
            time.sleep(0.05)
        _use(production, user, tmp_path)
        running = {role: process.poll() for role, process in production.processes.items()}
        assert running == {"serve": None, "control": None, "work": None}
    finally:
        ended = production.stop()
        log.close()
    assert set(ended.values()) == {0}, (tmp_path / "roles.log").read_text()
    printed = (tmp_path / "roles.log").read_text()
    assert "Traceback" not in printed
    assert token not in printed


def _use(production, user, tmp_path):
    """Register two versions, promote both, roll back, download; each by the command line."""

    def mlreg(*words):
        done = production.run(*words, **user)
        assert done.returncode == 0, done.stderr
        return done.stdout

    mlreg("model", "create", "flights", "--task=binary")
    for number in (1, 2):
        (tmp_path / "model.txt").write_text(f"model {number}")
        words = ["--allow-missing", "git,data,contract,hyperparameters,seeds,trainer,lane"]
        mlreg("version", "register", "flights", str(tmp_path / "model.txt"), *words)
        mlreg("promote", "flights", str(number), "--force", "--reason=first steps")
    mlreg("rollback", "flights", "--reason=practice")
    mlreg("version", "download", "flights@champion", str(tmp_path / "there"))
    assert [path.read_text() for path in (tmp_path / "there").iterdir()] == ["model 1"]
    assert mlreg("audit", "verify")


def test_production_takes_no_virtual_clock(production, tmp_path):
    refused = production.run(
        "up", "--virtual-clock", "--port=0", f"--data={tmp_path / 'up'}", MLREG_CONFIG_DIR="/tmp"
    )
    assert refused.returncode != 0
    assert "MLREG_MODE=production refuses a virtual clock" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_doctor_finds_it_well(upgraded):
    done = upgraded.run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mlreg_app, which cannot rewrite history" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MLREG_DATABASE_URL", "postgresql://x@127.0.0.1:1/x", "the database cannot be reached"),
        ("MLREG_DATABASE_URL", "not a url", "MLREG_DATABASE_URL"),
        ("MLREG_ARTIFACTS_URL", "ftp://somewhere", "ftp://somewhere"),
    ],
)
def test_a_wrong_setting_is_one_line(upgraded, variable, value, said):
    done = upgraded.run("serve", **{variable: value})
    assert done.returncode in {2, 5}
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
