"""What proves the audit log, over HTTP and on the command line: checkpoints, exports, keys."""

from __future__ import annotations

import base64
import csv
import io
import json
import socket
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from mlreg.client.errors import InvalidError, NotAllowedError, NotFoundError
from mlreg.client.transport import Call
from mlreg.client.witness import find_checkpoint, keep_checkpoint
from mlreg.controller.services.checkpointing import NotKeptError, sign
from mlreg.registry.domain.note_keys import SignerKey, VerifierKey
from mlreg.registry.domain.notes import parse_note, parse_notes
from mlreg.registry.services import audit
from mlreg.registry.witnesses.folder import FolderWitness, key_of
from tests.api.test_command_line import flights, mlreg, refused
from tests.audit_makers import record_entries, room_of, sign_now
from tests.makers import PERSON, START, make_models

__all__ = ["flights", "mlreg"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def log(api, database, folder):  # noqa: ARG001 - its token is the first entry
    """A log of the token's own entry and 20 more, of which 11 are signed."""
    record_entries(database, 10)
    sign_now(database, folder)
    record_entries(database, 10)
    return database


def test_there_is_no_checkpoint_before_the_first(client, mlreg):
    assert client.audit.find_checkpoint() is None
    refused(mlreg("audit", "key"), 3)
    with pytest.raises(NotFoundError):
        client.transport.send(Call("GET", "/api/v1/audit/checkpoint"))


@pytest.mark.usefixtures("log")
def test_the_newest_checkpoint_is_signed_by_the_folders_key(client, folder, mlreg):
    newest = client.audit.find_checkpoint()
    assert newest.size == 11
    assert newest.verifier == (folder / "key.pub").read_text().strip()
    note = parse_note(newest.note)
    assert VerifierKey.parse(newest.verifier).signed(note)
    assert note.text.splitlines()[0] == newest.origin
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert mlreg("audit", "key").stdout.strip() == newest.verifier
    assert mlreg("audit", "checkpoint").stdout == newest.note
    assert find_checkpoint(client.transport.url) is None


def test_a_checkpoint_goes_on_where_the_last_one_ended(log, client, folder):
    assert sign_now(log, folder) == "21 entries are signed"
    assert sign_now(log, folder) == "nothing new"
    notes = list(parse_notes((folder / "checkpoints").read_text()))
    assert [note.text.splitlines()[1] for note in notes] == ["11", "21"]
    verified = client.audit.verify()
    assert (verified.entries, verified.first_bad) == (21, None)


def test_a_torn_checkpoint_is_passed_over(log, folder):
    with (folder / "checkpoints").open("a") as file:
        file.write("mlreg/1\n999\n")
    assert FolderWitness(folder).find_newest().text.splitlines()[1] == "11"
    sign_now(log, folder)
    assert FolderWitness(folder).find_newest().text.splitlines()[1] == "21"


@pytest.mark.usefixtures("log")
def test_an_exported_log_proves_itself_without_a_server(mlreg, tmp_path, folder):
    file = tmp_path / "audit.jsonl"
    assert "21 entries" in mlreg("audit", "export", "--output", str(file)).stdout
    offline = {"MLREG_URL": "", "MLREG_TOKEN": ""}
    verify = ("audit", "verify", "--file", str(file))
    assert "21 entries hold" in mlreg(*verify, **offline).stdout
    key = ("--key", str(folder / "key.pub"), "--checkpoint", str(folder / "checkpoints"))
    assert "2 checkpoints agree" in mlreg(*verify, *key, **offline).stdout
    stranger = str(SignerKey.generate("mlreg").verifier)
    assert "not signed by" in refused(mlreg(*verify, "--key", stranger, **offline), 8)
    lines = file.read_text().splitlines(keepends=True)
    for number, bad in ((4, lines[4].replace("because", "be cause")), (7, "")):
        broken = tmp_path / "broken.jsonl"
        broken.write_text("".join([*lines[:number], bad, *lines[number + 1 :]]))
        said = refused(mlreg("audit", "verify", "--file", str(broken), **offline), 8)
        assert f"entry {number + 1} is bad" in said
    broken.write_text("".join(lines[:15]))
    refused(mlreg("audit", "verify", "--file", str(broken), **offline), 8)


def test_a_truncated_export_with_a_forged_end_is_disproved_by_a_checkpoint(
    log, mlreg, tmp_path, folder
):
    sign_now(log, folder)
    file = tmp_path / "audit.jsonl"
    mlreg("audit", "export", "--output", str(file))
    *entries, end = map(json.loads, file.read_text().splitlines())
    kept = entries[:15]
    end |= {"export": {"after": 0, "end": 15}, "checkpoint": None}
    end["head"] = {"seq": 15, "digest": kept[-1]["digest"]}
    file.write_text("".join(json.dumps(one) + "\n" for one in (*kept, end)))
    verify = ("audit", "verify", "--file", str(file))
    assert mlreg(*verify).returncode == 0
    done = mlreg(*verify, "--checkpoint", str(folder / "checkpoints"))
    assert "entry 16 is bad" in refused(done, 8)


def test_a_span_of_time_is_exported_and_verified(log, client, mlreg, tmp_path):
    later = START + timedelta(days=10_000)
    record_entries(log, 10, later)
    file = tmp_path / "part.jsonl"
    until = later + timedelta(minutes=4)
    words = ("--since", later.isoformat(), "--until", until.isoformat(), "--output", str(file))
    assert mlreg("audit", "export", *words).returncode == 0
    seqs = [json.loads(line).get("seq") for line in file.read_text().splitlines()][:-1]
    assert seqs == [22, 23, 24, 25]
    assert "entries 22 to 25 hold" in mlreg("audit", "verify", "--file", str(file)).stdout
    file.write_text(file.read_text().replace('"number\\":2', '"number\\":3'))
    assert "entry 24 is bad" in refused(mlreg("audit", "verify", "--file", str(file)), 8)
    assert client.audit.export(io.BytesIO(), since=later + timedelta(days=1)) == 0
    with pytest.raises(InvalidError):
        client.transport.send(Call("GET", "/api/v1/audit/export", {"since": "2026-01-01T00:00"}))


@pytest.mark.usefixtures("log")
def test_an_export_that_was_cut_is_an_integrity_failure(mlreg, tmp_path):
    file = tmp_path / "log.jsonl"
    assert mlreg("audit", "export", "--output", str(file)).returncode == 0
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    broken = {
        "its end": b"".join(lines[:-1]),
        "half of its end": whole[:-40],
        "its second half": whole[: len(whole) // 2],
        "no UTF-8": whole.replace(b"because", b"becau\xff\xfe", 1),
        "a line that is none": b"".join([*lines[:3], b"{}\n", *lines[4:]]),
    }
    for what, content in broken.items():
        file.write_bytes(content)
        assert refused(mlreg("audit", "verify", "--file", str(file)), 8), what
    for content in (b"", b"hello\n", b'{"some": "json"}\n', b"seq,format\r\n1,1\r\n"):
        file.write_bytes(content)
        assert "no export" in refused(mlreg("audit", "verify", "--file", str(file)), 2)


def test_a_spreadsheet_is_given_no_formula(log, client):
    with log.writing() as session:
        audit.record(session, action="x", subject="=1+1", actor=PERSON, body={}, now=START)
    output = io.BytesIO()
    client.audit.export(output, form="csv")
    rows = list(csv.reader(io.StringIO(output.getvalue().decode())))
    assert rows[0][:4] == ["seq", "format", "at", "actor"]
    assert [row[5] for row in rows if row[0] == "22"] == ["'=1+1"]
    assert rows[-1][0].startswith("# ")


def test_a_token_for_some_models_reads_no_whole_log(log, api, client):
    make_models(log)
    scoped = client.tokens.create("auditor", role="viewer", models=["flights"]).token
    with api.client(scoped) as narrow:
        for call in (narrow.audit.verify, lambda: narrow.audit.export(io.BytesIO())):
            with pytest.raises(NotAllowedError):
                call()


@pytest.mark.parametrize("held", ["1", "1:zz", "x:00", "1:" + "00" * 31, "-1:" + "00" * 32])
def test_what_is_no_checkpoint_is_not_held_against_the_log(client, held):
    with pytest.raises(InvalidError):
        client.transport.send(Call("GET", "/api/v1/audit/verification", {"held": held}))


def test_a_witness_keeps_the_checkpoint_of_the_most_entries(tmp_path):
    environ = {"MLREG_CONFIG_DIR": str(tmp_path)}
    key = SignerKey.generate("mlreg")

    def keep(text):
        note = str(key.sign(text)) if text else ""
        keep_checkpoint("http://a", {"mlreg-checkpoint": _encoded(note)}, environ)
        kept = find_checkpoint("http://a", environ)
        return kept and kept.splitlines()[1]

    def _encoded(note):
        return base64.b64encode(note.encode()).decode()

    assert keep("") is None
    assert [keep(f"mlreg\n{size}\nAAAA\n") for size in (5, 3, 9, 10)] == ["5", "5", "9", "10"]
    keep_checkpoint("http://a", {"mlreg-checkpoint": "!"}, environ)
    keep_checkpoint("http://a", {}, environ)
    keep_checkpoint("http://a", {}, {"MLREG_CONFIG_DIR": "/proc/nowhere"})
    assert keep("nonsense\n") == "10"
    (file,) = (tmp_path / "witness").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_checkpoints_are_kept_under_object_lock(log, folder, moto):
    client, bucket = moto.client(), f"witnessed-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    url = f"s3://{bucket}/audit"
    room = room_of(log, folder, url=url, s3=moto.settings, retention_days=30)
    assert sign(room) == "21 entries are signed"
    (kept,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert kept["Key"] == f"audit/checkpoints/{21:020}"
    found = client.get_object(Bucket=bucket, Key=kept["Key"])
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["Body"].read().decode() in (folder / "checkpoints").read_text()


def test_a_witness_that_fails_is_said_and_the_others_have_it(log, folder, client):
    room = room_of(log, folder, syslog="/nowhere/log")
    with pytest.raises(NotKeptError, match="syslog"):
        sign(room)
    assert client.audit.find_checkpoint().size == 21
    assert FolderWitness(folder).find_newest().text.splitlines()[1] == "21"


def test_a_system_log_keeps_checkpoints_too(log, folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(5)
        sign(room_of(log, folder, syslog=f"127.0.0.1:{heard.getsockname()[1]}"))
        assert b"audit checkpoint 21: mlreg/" in heard.recv(4_096)


def test_a_given_key_signs_and_none_is_made(log, tmp_path):
    key = SignerKey.generate("mlreg")
    other = tmp_path / "other"
    sign(room_of(log, other, key=key.secret_text))
    assert key.verifier.signed(FolderWitness(other).find_newest())
    assert not (other / "key").exists()
    assert sign(room_of(log, None)).startswith("no key")


def test_the_key_is_made_once(tmp_path):
    made = key_of(tmp_path / "a")
    assert key_of(tmp_path / "a").secret_text == made.secret_text
    assert made.secret_text not in repr(room_of(None, Path("x"), key=made.secret_text))
