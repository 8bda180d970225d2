"""compose.yaml: every role is there, no secret has a default, and Docker can read it."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COPYLEFT = ("minio", "garage")


@pytest.fixture(scope="module")
def composition():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def secrets():
    done = subprocess.run(
        ["/bin/sh", ROOT / "deploy" / "secrets.sh"], capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_every_role_is_there(composition):
    assert set(composition["services"]) == {
        *("postgres", "bucket", "s3", "migrate", "api", "control", "worker"),
    }


def test_no_image_is_agpl(composition):
    images = [service["image"] for service in composition["services"].values()]
    assert not [image for image in images if any(name in image for name in COPYLEFT)]


def test_only_this_machine_can_reach_it(composition):
    ports = [service.get("ports", []) for service in composition["services"].values()]
    assert [port for found in ports for port in found] == ["127.0.0.1:8000:8000"]


def test_no_secret_has_a_default(secrets):
    text = (ROOT / "compose.yaml").read_text()
    wanted = {part.split(":?")[0] for part in text.split("${")[1:]}
    assert all(":?" in part.split("}")[0] for part in text.split("${")[1:])
    assert wanted == set(secrets)
    assert len(set(secrets.values())) == len(secrets)
    assert min(map(len, secrets.values())) == 48


def _answers(command):
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0


def test_docker_reads_it(secrets, tmp_path):
    command = next(filter(_answers, (["docker", "compose"], ["docker-compose"])), None)
    if command is None:
        pytest.skip("no docker compose client is here")
    (tmp_path / "env").write_text("".join(f"{key}={value}\n" for key, value in secrets.items()))
    done = subprocess.run(
        [*command, f"--env-file={tmp_path / 'env'}", "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
