"""Which executors a worker has, from its settings; no cluster is asked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlreg.cli.checks import _executors
from mlreg.cli.executors import executor_settings_of
from mlreg.cli.settings import Settings, SettingsError, read_settings
from mlreg.controller.executors.executor import ChildTask
from mlreg.controller.executors.kinds import ExecutorNotHereError, open_executors, open_others
from mlreg.controller.executors.local import LocalExecutor

FILE = """
ray: {address: "https://ray.example.org:8265", python: /opt/mlreg/bin/python}
kubernetes:
  namespace: training
  pod: {image: "registry.example.org/mlreg:0.1.0", s3_secret: mlreg-s3}
"""


@pytest.fixture
def settings(monkeypatch):
    def settings(**given: str) -> Settings:
        monkeypatch.setenv("MLREG_DATABASE_URL", "postgresql://u@h/d")
        monkeypatch.setenv("MLREG_ARTIFACTS_URL", "file:///a")
        for name, value in given.items():
            monkeypatch.setenv(f"MLREG_{name.upper()}", value)
        return read_settings()

    return settings


def private(folder: Path, text: str) -> str:
    path = folder / "executors.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_without_settings_there_is_the_local_one_alone(settings):
    assert open_others(executor_settings_of(settings())) == {}


def test_an_address_is_all_that_ray_needs(settings):
    found = executor_settings_of(settings(ray_address="http://ray:8265", exchange_url="s3://b/x"))
    assert set(open_others(found)) == {"ray"}


def test_a_file_declares_both(settings, tmp_path):
    given = {"executors_file": private(tmp_path, FILE), "exchange_url": "file:///shared"}
    found = executor_settings_of(settings(**given))
    assert set(open_others(found)) == {"ray", "kubernetes"}
    assert found.kubernetes.pod.s3_secret == "mlreg-s3"


@pytest.mark.parametrize(
    ("file", "given", "said"),
    [
        (None, {"ray_address": "http://ray:8265", "exchange_url": None}, "EXCHANGE_URL: an exec"),
        (FILE, {"ray_address": "http://ray:8265"}, "RAY_ADDRESS: MLREG_EXECUTORS_FILE declares"),
        ("kubernetes: {namespace: x}", {}, "kubernetes.pod: Field required"),
        ("kubernetes: {pod: {image: x, privileged: true}}", {}, "privileged"),
        ("ray: {address: 'ray:10001'}", {}, "ray.address"),
        ("spark: {}", {}, "spark: Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(settings, tmp_path, file, given, said):
    values = {"exchange_url": "file:///shared", **given}
    if file is not None:
        values["executors_file"] = private(tmp_path, file)
    with pytest.raises(SettingsError, match=said):
        executor_settings_of(settings(**{key: value for key, value in values.items() if value}))


@pytest.mark.parametrize("url", ["/shared", "http://x/y", "s3://user@b/x", "file://host/x"])
def test_an_exchange_that_is_none_is_refused(settings, url):
    with pytest.raises(SettingsError, match="MLREG_EXCHANGE_URL"):
        settings(exchange_url=url)


def test_an_executor_that_is_not_here_is_named_with_those_that_are(tmp_path, settings):
    executors = open_executors(executor_settings_of(settings()), LocalExecutor({}, preload=()))
    task = ChildTask("json:loads", tmp_path, executor="ray")
    with pytest.raises(ExecutorNotHereError, match="no executor 'ray'; it has local"):
        executors.run(task, threading.Event())
    executors.close()


def test_doctor_names_every_executor_and_what_is_wrong_with_it(settings):
    assert (found := _executors(settings())).well
    assert found.text == "local"
    given = {"ray_address": "http://127.0.0.1:1", "exchange_url": "file:///shared"}
    found = _executors(settings(**given))
    assert not found.well
    assert found.text.startswith("local; ray: http://127.0.0.1:1 gives no answer: ")
    assert "refused" in found.text
