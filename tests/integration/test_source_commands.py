"""Sources as a person uses them: connections, a policy, snapshots, a run, on a real `mlreg up`."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.cli.connections import read_connections
from mlreg.cli.settings import SettingsError
from tests.servers.running import RunningMlreg
from tests.source_makers import DAY, START, raw_rows, write_days

FEATURES = [
    {"name": "temp", "dtype": "float"},
    {"name": "hour", "dtype": "int"},
    {"name": "carrier", "dtype": "category", "categories": ["AA", "UA"]},
    {"name": "rain", "dtype": "bool"},
]
COLUMNS = [
    "--column=time=event_time",
    "--column=label=churned",
    "--column=entity=customer",
    "--column=temp=temperature",
]
RANGE = ["--start=2013-06-01", "--end=2013-06-08"]
POLICY = """
model: churn
data:
  source: {folder}/days/*.parquet
  time: event_time
  label: churned
  entity: customer
  features: {{temp: temperature}}
  train_window: 20d
  evaluate_window: 10d
  label_delay: 1d
triggers: [{{schedule: "0 3 * * *"}}]
retrain:
  params: {{num_leaves: 7, min_data_in_leaf: 20, objective: binary}}
  rounds: 20
gates: [{{baseline: prior, metric: log_loss}}]
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    write_days(folder / "days", 31, rows_a_day=200)
    return folder


@pytest.fixture(scope="module")
def up(lake, tmp_path_factory):
    file = tmp_path_factory.mktemp("settings") / "connections.yaml"
    file.write_text(f"lake: {{kind: folder, path: {lake}}}\n")
    file.chmod(0o600)
    running = RunningMlreg(
        virtual_start="2013-07-03T00:00:00", environ={"MLREG_CONNECTIONS_FILE": str(file)}
    )
    running.start()
    features = file.with_name("features.json")
    features.write_text(json.dumps(FEATURES))
    running.cli("model", "create", "churn", "--task=binary", f"--features={features}")
    yield running
    running.stop()


def freeze(up, lake, *more, **options):
    return up.cli("snapshot", "create", "churn", *RANGE, f"--source={lake}/days", *more, **options)


def test_a_snapshot_is_frozen_shown_and_exported(up, lake, tmp_path):
    made = json.loads(freeze(up, lake, *COLUMNS, "--json").stdout)
    assert made["source"]["file_count"] == 7
    assert made["source"]["files"][0]["path"] == f"file://{lake}/days/day-00.parquet"
    assert "7 files are frozen" in freeze(up, lake, *COLUMNS).stdout
    shown = json.loads(up.cli("snapshot", "show", made["digest"], "--json").stdout)
    assert shown["digest"] == made["digest"]
    assert made["digest"] in up.cli("snapshot", "list", "churn").stdout
    with up.client() as client:
        for name in ("rows.parquet", "rows.csv", "rows.arrow"):
            client.snapshots.export(made["digest"], tmp_path / name)
    rows = pq.read_table(tmp_path / "rows.parquet")
    raw = pa.concat_tables([raw_rows(START + d * DAY, rows_a_day=200) for d in range(7)])
    assert rows["temp"].to_pylist() == raw["temperature"].to_pylist()
    assert rows["weight"].to_pylist() == [1.0] * 1400
    assert (tmp_path / "rows.csv").read_text().count("\n") == 1401
    with pa.ipc.open_stream(tmp_path / "rows.arrow") as stream:
        assert stream.read_all().num_rows == 1400


def test_a_changed_file_ends_an_export_with_its_name(up, lake, tmp_path):
    made = json.loads(freeze(up, lake, *COLUMNS, "--json").stdout)
    path = lake / "days" / "day-02.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    try:
        done = up.cli("snapshot", "export", made["digest"], str(tmp_path / "x.csv"), check=False)
    finally:
        path.write_bytes(before)
    assert done.returncode == 8
    assert f"{path} was changed: sha256:" in done.stderr
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--column=label=gone", "--column=time=event_time"], 6, "'gone': it is missing"),
        (["--column=label"], 2, "--column is WHAT=COLUMN"),
        (["--column=humidity=w"], 2, "model 'churn' has no feature 'humidity'"),
        (["--timezone=Mars"], 2, "no time zone"),
        (["--connection=none"], 3, "no folder or s3 connection 'none'"),
    ],
)
def test_what_cannot_be_frozen(up, lake, words, code, said):
    done = freeze(up, lake, *words, check=False)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_folder_that_no_connection_covers(up):
    done = up.cli("snapshot", "create", "churn", *RANGE, "--source=/etc", check=False)
    assert done.returncode == 4
    assert "no connection lets model 'churn' read file:///etc" in done.stderr


def test_a_policy_names_a_source_that_a_connection_covers(up, lake, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.format(folder=lake))
    up.cli("policy", "apply", "-f", str(file))
    frozen = up.cli("snapshot", "create", "churn", *RANGE, "--source=policy", "--json")
    assert json.loads(frozen.stdout)["source"]["name"] == f"file://{lake}/days/*.parquet"
    file.write_text(POLICY.format(folder="/etc"))
    refused = up.cli("policy", "apply", "-f", str(file), check=False)
    assert (refused.returncode, "no connection lets" in refused.stderr) == (4, True)


def test_only_who_writes_policies_names_sources(up, lake, tmp_path):
    made = up.cli("token", "create", "ci-1", "--role=ci", "--json")
    token = json.loads(made.stdout)["token"]
    environ = {**up.environ, "MLREG_TOKEN": token}
    done = freeze(up, lake, *COLUMNS, check=False, environ=environ)
    assert done.returncode == 4
    assert "may not policy.write" in done.stderr
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.format(folder=lake))
    up.cli("policy", "apply", "-f", str(file))
    words = ["snapshot", "create", "churn", *RANGE, "--source=policy", "--json"]
    assert json.loads(up.cli(*words, environ=environ).stdout)["source"]["file_count"] == 7


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("a: {kind: folder, path: /srv}", 0o640, "others may read it: chmod 600"),
        ("a: {kind: folder, path: srv}", 0o600, "a.folder.path"),
        ("a: {kind: ftp}", 0o600, "a"),
        ("a: {kind: postgres, url: mysql://me:secret@x/y}", 0o600, "a.postgres.url"),
        ("a: {kind: s3, url: s3://b, secret: very-secret}", 0o600, "a.s3.secret"),
        ("a: {kind: s3, url: s3://b, endpoint_url: 'http://me:secret@x'}", 0o600, "endpoint_url"),
        ("A b: {kind: folder, path: /srv}", 0o600, "A b"),
        ("a: [", 0o600, "is not YAML, line 1"),
        ("- 1", 0o600, "dict"),
    ],
)
def test_a_file_of_connections_that_is_wrong(tmp_path, text, mode, said):
    file = tmp_path / "connections.yaml"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(SettingsError) as caught:
        read_connections(file)
    assert said in str(caught.value)
    assert "secret@" not in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_without_a_file_there_are_no_connections(tmp_path):
    assert read_connections(None).by_name == {}
    with pytest.raises(SettingsError, match="cannot be read: FileNotFoundError"):
        read_connections(tmp_path / "none.yaml")
