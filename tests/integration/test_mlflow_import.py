import json

import pytest

from tests.servers.mlflow_server import ENVIRONMENT, MlflowServer

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def mlflow():
    assert ENVIRONMENT.exists(), "`make mlflow` makes the environment of the MLflow server"
    server = MlflowServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stored(mlflow):
    return mlflow.fill()


def run(mlreg, *words):
    return mlreg.cli(*words, check=False)


def document(mlreg, *words):
    return json.loads(mlreg.cli(*words, "--json").stdout)


def test_versions_come_over_byte_for_byte_with_what_mlflow_knew(mlreg, mlflow, stored):
    done = run(mlreg, "import", "mlflow", mlflow.url, "churn", "--as=moved", "--task=binary")
    assert done.returncode == 0, done.stderr
    assert "promote moved 2" in done.stdout + done.stderr
    with mlreg.client() as client:
        versions = {number: client.versions.get("moved", number) for number in (1, 2, 3, 4)}
    for number, version in versions.items():
        assert {file.path: file.digest for file in version.files} == stored[str(number)]
    first, second, third, fourth = versions.values()
    assert first.flavour == "lightgbm-text"
    assert first.metrics == {"auc": 0.55}, "the last value of each, and no NaN"
    assert first.hyperparameters["num_leaves"] == 7
    assert first.hyperparameters["learning_rate"] == 0.05
    assert first.hyperparameters["shuffled"] is True
    assert first.hyperparameters["note"] == "007"
    assert first.seeds == {"seed": 7}
    assert first.git["commit"] == "3f2a" * 10
    assert first.tags["team"] == "risk"
    assert first.tags["reviewed"] == "yes"
    assert first.environment["packages"]["lightgbm"]
    assert "contract" in first.missing
    assert second.description == "the good one"
    assert second.tags["mlflow.alias.champion"] == "yes"
    assert [feature["name"] for feature in second.contract] == ["age", "income", "visits"]
    assert not third.unsafe
    assert third.flavour == "skops"
    assert fourth.unsafe, "a pickle, in a folder of MLflow 2's kind"


def test_importing_again_imports_nothing(mlreg, mlflow, stored):
    words = ("import", "mlflow", mlflow.url, "churn", "--as=again", "--task=binary")
    first, second = document(mlreg, *words), document(mlreg, *words)
    assert [one["outcome"] for one in first["versions"]] == ["imported"] * len(stored)
    assert [one["outcome"] for one in second["versions"]] == ["present"] * len(stored)
    with mlreg.client() as client:
        assert client.models.get("again").last_version == len(stored)


@pytest.mark.usefixtures("stored")
def test_an_imported_champion_serves_and_a_pickle_does_not(mlreg, mlflow):
    document(mlreg, "import", "mlflow", mlflow.url, "churn", "--as=served", "--task=binary")
    assert run(mlreg, "promote", "served", "2", "--reason=from MLflow").returncode == 0
    refused = run(mlreg, "promote", "served", "4", "--force", "--reason=try")
    assert refused.returncode == 1
    assert "pickle" in refused.stderr


@pytest.mark.usefixtures("stored")
def test_errors_say_which_server_and_what(mlreg, mlflow):
    absent = run(mlreg, "import", "mlflow", mlflow.url, "nothing", "--task=binary")
    assert (absent.returncode, "nothing" in absent.stderr) == (3, True)
    silent = run(mlreg, "import", "mlflow", "http://127.0.0.1:9", "churn")
    assert (silent.returncode, "gave no answer" in silent.stderr) == (5, True)
    unnamed = run(mlreg, "import", "mlflow", mlflow.url, "churn", "--as=unknown-task")
    assert (unnamed.returncode, "--task" in unnamed.stderr) == (2, True)
    other = run(mlreg, "import", "mlflow", mlreg.url, "churn")
    assert (other.returncode, mlreg.url in other.stderr) == (4, True)
