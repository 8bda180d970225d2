"""A version as one file: out of one installation, into another, or refused with nothing changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

import psycopg
import pytest
from sqlmodel import func, select

from mlreg.client import portable_file
from mlreg.client.errors import IntegrityError, InvalidError, NotFoundError, RefusedError
from mlreg.client.signing import Signer, generate_key, verify
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.signing import KeyRequest
from mlreg.client.wire.versions import ProvenanceForm, StageFileForm, VersionRequest
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.store import tables
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from tests.makers import make_decision
from tests.servers.api import RunningApi
from tests.upload_makers import bare_request

FEATURES = [FeatureForm(name="x", dtype="float"), FeatureForm(name="y", dtype="int")]
ALLOWED = ["git", "data", "hyperparameters", "seeds", "environment", "trainer", "lane", "parent"]


@pytest.fixture
def elsewhere(postgres, template, tmp_path):
    """A second installation: another database, another store, another admin."""
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE elsewhere TEMPLATE {template} STRATEGY FILE_COPY")
    database = Database(postgres.url("elsewhere", "mlreg_app"))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    running = RunningApi(ApiParts(database, open_store(folder.as_uri()), SystemClock()))
    running.start()
    yield running
    running.stop()
    database.dispose()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE elsewhere WITH (FORCE)")


@pytest.fixture
def version(client, database, tmp_path):
    """A version with two files, one of them empty and one twice, a stage and a decision."""
    client.models.create(
        ModelRequest(name="flights", target=TargetForm(task="binary"), features=FEATURES)
    )
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"weights" * 300_001)
    (folder / "sub" / "again.bin").write_bytes(b"weights" * 300_001)
    (folder / "empty").write_bytes(b"")
    (tmp_path / "loss.csv").write_bytes(b"step,loss\n1,0.5\n2,0.4\n")
    files = client.versions.upload(folder)
    staged = client.versions.upload_file(tmp_path / "loss.csv")
    stage = StageFileForm(
        name="loss.csv", kind="loss_curve", size=staged.size, digest=staged.digest
    )
    first = client.versions.register_files("flights", request_of(files, [stage]))
    second = client.versions.register_files(
        "flights", request_of(files, [stage], parent=first.number, lane="continue")
    )
    with database.writing() as session:
        model_id = session.exec(select(tables.Model.id)).one()
        make_decision(session, model_id, second.number, None)
    return client.versions.get("flights", second.number)


def request_of(files, stage, **provenance):
    return VersionRequest(
        files=files,
        stage=stage,
        provenance=ProvenanceForm(
            contract=FEATURES, hyperparameters={"num_leaves": 31}, trainer="hand", **provenance
        ),
        metrics={"auc": 0.75},
        tags={"team": "risk"},
        allow_missing=ALLOWED,
        description="the one",
    )


@pytest.fixture
def exported(client, version, tmp_path):
    target = tmp_path / "flights.mlreg"
    client.portable.export("flights", version.number, target)
    return target


def counts(running):
    with running.parts.database.reading() as session:
        return [
            session.exec(select(func.count()).select_from(table)).one()
            for table in (tables.Model, tables.Version, tables.AuditEntry, tables.Blob)
        ]


def test_a_version_arrives_whole_with_its_past(exported, version, elsewhere, tmp_path):
    with elsewhere.client() as there:
        imported = there.portable.import_file(there.portable.read(exported))
        assert (imported.model, imported.number) == ("flights", 1)
        shown = there.versions.get("flights", 1)
        assert shown.manifest == version.manifest
        assert shown.metrics == version.metrics
        assert shown.tags == version.tags
        assert shown.hyperparameters == version.hyperparameters
        assert shown.contract == version.contract
        assert [file.digest for file in shown.files] == [file.digest for file in version.files]
        assert [(file.name, file.kind) for file in shown.stage] == [("loss.csv", "loss_curve")]
        assert (shown.lane, shown.parent, "parent" in shown.missing) == ("continue", None, True)
        came = shown.imported_from
        assert (came["model"], came["number"], came["registered_by"]) == ("flights", 2, "admin")
        assert came["registered_at"] == version.created_at.isoformat()
        assert came["parent"]["number"] == 1
        there.versions.download(shown, tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "again.bin").read_bytes() == b"weights" * 300_001
    record = json.loads((elsewhere.parts.store.root / key_of(came["record"])).read_bytes())
    assert [one["verdict"] for one in record["evidence"]["decisions"]] == ["accepted"]
    assert "version.register" in [one["action"] for one in record["evidence"]["audit"]]


def key_of(digest):
    return f"blobs/sha256/{digest[7:9]}/{digest[7:]}"


def test_the_same_version_is_imported_once_whichever_file_it_comes_in(
    client, exported, elsewhere, tmp_path
):
    again = tmp_path / "again.mlreg"
    client.portable.export("flights", 2, again)
    parent = tmp_path / "parent.mlreg"
    client.portable.export("flights", 1, parent)
    with elsewhere.client() as there:
        numbers = [
            there.portable.import_file(there.portable.read(file)).number
            for file in (parent, exported, exported, again)
        ]
        assert numbers == [1, 2, 2, 2]
        assert there.versions.get("flights", 2).parent == 1
        other = there.portable.import_file(there.portable.read(exported), model="trains")
        assert (other.model, other.number) == ("trains", 1)


def test_an_exported_file_is_a_tar_that_anybody_can_list(exported):
    with tarfile.open(exported) as tar:
        names = tar.getnames()
    assert names[0] == "mlreg-version/record.json"
    assert names[-1] == "mlreg-version/seal.json"
    assert len(names) == 5  # two files are one blob
    listed = subprocess.run(["tar", "tf", exported], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == names


def test_a_file_is_the_same_however_often_it_is_written(exported, tmp_path):
    found = portable_file.read(exported)
    again = tmp_path / "again"
    with again.open("wb") as out:

        def blob(digest):
            def fill(file):
                for piece in portable_file.pieces_of(found, digest):
                    file.write(piece)

            return digest, found.places[digest][1], fill

        portable_file.write(out, found.record_bytes, map(blob, found.places))
    assert again.read_bytes() == exported.read_bytes()


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def resealed(content):
    """Return a file whose seal fits its bytes, as an attacker would write it."""
    at = content.index(b"mlreg-version/seal.json")
    seal = json.dumps({"sha256": hashlib.sha256(content[:at]).hexdigest()}).encode()
    return content[: at + 512] + seal + content[at + 512 + len(seal) :]


DAMAGES = {
    "empty": lambda _: b"",
    "one byte": lambda content: content[:1],
    "cut in the record": lambda content: content[:1000],
    "cut in a blob": lambda content: content[: len(content) // 2],
    "cut before its end": lambda content: content[:-1],
    "without its end": lambda content: content[:-1024],
    "grown": lambda content: content + b"\0",
    "a second file behind it": lambda content: content + content,
    "flipped in a header": lambda content: flipped(content, 100),
    "flipped in the record": lambda content: flipped(content, 600),
    "flipped in a blob": lambda content: flipped(content, len(content) // 2),
    "flipped in a blob, sealed anew": lambda c: resealed(flipped(c, len(c) // 2)),
    "another number, sealed by nobody": lambda c: c.replace(b'"number":2', b'"number":3', 1),
    "not a file of ours": lambda _: b"tree\nversion=v4\n" * 100,
    "random": lambda _: os.urandom(10_000),
    "a path out of it": lambda c: resealed(c.replace(b"sub/again.bin", b"../../etc/cow", 1)),
    "an absolute path": lambda c: resealed(c.replace(b"sub/again.bin", b"/etc/crontab1", 1)),
    "another manifest": lambda c: resealed(c.replace(b"sub/again.bin", b"sub/other.bin", 1)),
    "NaN": lambda c: resealed(c.replace(b'"auc":0.75', b'"auc":NaN ', 1)),
    "a bomb of depth": lambda c: resealed(c.replace(b'"the one"', b"[[[[[[[[[", 1)),
    "a gzip": gzip.compress,
}


AT_THE_SERVER = {"a path out of it", "an absolute path", "another manifest"}


def test_a_bad_file_is_refused_and_changes_nothing(exported, elsewhere, tmp_path):
    good, bad, before = exported.read_bytes(), tmp_path / "bad.mlreg", counts(elsewhere)
    with elsewhere.client() as there:
        for name, damage in DAMAGES.items():
            bad.write_bytes(damage(good))
            with pytest.raises((InvalidError, IntegrityError)) as refused:
                refuse(there, bad, only_read=name not in AT_THE_SERVER)
            codes = {"not_portable", "portable_file_corrupt"}
            if name in AT_THE_SERVER:
                codes = {"invalid_manifest", "invalid_record"}
            assert refused.value.code in codes, name
            assert counts(elsewhere)[:3] == before[:3], name


def refuse(there, file, *, only_read):
    """Read a file, and import it only if its own bytes do not show what is wrong with it."""
    found = there.portable.read(file)
    assert not only_read
    there.portable.import_file(found)


def tar_of(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member_of(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def zip_of(size):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("mlreg-version/record.json", b"0" * size)
    return out.getvalue()


ARCHIVES = {
    "a zip bomb": lambda _: zip_of(100_000_000),
    "a path upwards": lambda r: tar_of((member_of("../../etc/passwd"), r)),
    "an absolute path": lambda r: tar_of((member_of("/mlreg-version/record.json"), r)),
    "a symbolic link": lambda _: tar_of(
        (member_of("mlreg-version/record.json", tarfile.SYMTYPE, "/etc/passwd"), b"")
    ),
    "a hard link": lambda _: tar_of(
        (member_of("mlreg-version/record.json", tarfile.LNKTYPE, "/etc/passwd"), b"")
    ),
    "a device": lambda _: tar_of((member_of("mlreg-version/record.json", tarfile.CHRTYPE), b"")),
    "the record twice": lambda r: tar_of(*[(member_of("mlreg-version/record.json"), r)] * 2),
    "a record that is none": lambda _: tar_of((member_of("mlreg-version/record.json"), b"[]")),
    "a record of depth": lambda _: tar_of(
        (member_of("mlreg-version/record.json"), b"[" * 1_000_000)
    ),
    "a record too large": lambda _: tar_of(
        (member_of("mlreg-version/record.json"), b" " * (17 * 2**20))
    ),
    "no blobs": lambda r: tar_of((member_of("mlreg-version/record.json"), r)),
}


def test_a_hostile_archive_is_refused_before_anything_is_done(exported, tmp_path):
    record, bad = portable_file.read(exported).record_bytes, tmp_path / "bad.mlreg"
    for name, make in ARCHIVES.items():
        bad.write_bytes(make(record))
        with pytest.raises((InvalidError, IntegrityError)):
            pytest.fail(f"{name}: {portable_file.read(bad).digest}")


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"S", b"x", b"g", b"L"])
def test_a_header_of_another_kind_is_refused_though_all_sums_are_right(kind, tmp_path):
    """A whole file but for one member: a link, a device, a folder, sparse or an extension."""
    digest = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    origin = {"model": "m", "number": 1, "manifest": digest, "registered_by": "x"}
    record = {
        "kind": "mlreg-version",
        "format": 1,
        "exported_by": "x",
        "provenance": {},
        "exported_at": "2026-01-01T00:00:00Z",
        "origin": {**origin, "registered_at": "2026-01-01T00:00:00Z"},
        "target": {"task": "binary"},
        "files": [{"path": "a", "size": 3, "digest": digest}],
    }
    out = io.BytesIO()
    fill = [(digest, 3, lambda file: file.write(b"abc"))]
    portable_file.write(out, json.dumps(record).encode(), fill)
    file = tmp_path / "file"
    file.write_bytes(out.getvalue())
    assert portable_file.read(file).places[digest][1] == 3
    for member in (b"mlreg-version/record.json", b"mlreg-version/blobs/", b"mlreg-version/seal"):
        content = bytearray(out.getvalue())
        at = content.index(member)
        content[at + 156 : at + 157] = kind
        total = sum(content[at : at + 148]) + 8 * 32 + sum(content[at + 156 : at + 512])
        content[at + 148 : at + 156] = b"%06o\0 " % total
        file.write_bytes(resealed(bytes(content)))
        with pytest.raises(InvalidError):
            portable_file.read(file)


def test_an_import_keeps_to_the_rules_of_this_installation(exported, elsewhere):
    with elsewhere.client() as there:
        found = there.portable.read(exported)
        there.models.create(ModelRequest(name="other", target=TargetForm(task="regression")))
        with pytest.raises(RefusedError) as refused:
            there.portable.import_file(found, model="other")
        assert refused.value.code == "other_target"
        narrow = [FeatureForm(name="z", dtype="float")]
        there.models.create(
            ModelRequest(name="narrow", target=TargetForm(task="binary"), features=narrow)
        )
        with pytest.raises((InvalidError, RefusedError)):
            there.portable.import_file(found, model="narrow")
        assert there.models.get("narrow").last_version == 0


def test_an_export_writes_over_nothing_and_leaves_nothing_half(client, version, tmp_path, store):
    target = tmp_path / "there.mlreg"
    target.write_bytes(b"precious")
    with pytest.raises(RefusedError):
        client.portable.export("flights", version.number, target)
    assert target.read_bytes() == b"precious"
    with pytest.raises(NotFoundError):
        client.portable.export("flights", 99, tmp_path / "no.mlreg")
    digest = next(file.digest for file in version.files if file.size)
    path = store.root / key_of(digest)
    path.chmod(0o600)
    path.write_bytes(b"rotten")
    with pytest.raises(Exception, match=r".+"):
        client.portable.export("flights", version.number, tmp_path / "no.mlreg")
    assert sorted(path.name for path in tmp_path.glob("*.mlreg")) == ["there.mlreg"]


@pytest.mark.slow
def test_memory_stays_flat_whatever_the_size(tmp_path):
    """256 MB are read and checked in a child that may not have so much."""
    code = f"""
import hashlib, json
from pathlib import Path
from mlreg.client import portable_file
content, count = bytes(2**20), 256
sha256 = hashlib.sha256()
for _ in range(count): sha256.update(content)
digest = "sha256:" + sha256.hexdigest()
record = json.dumps({{
    "kind": "mlreg-version", "format": 1, "exported_at": "2026-01-01T00:00:00Z",
    "exported_by": "x", "target": {{"task": "binary"}}, "provenance": {{}},
    "origin": {{"model": "m", "number": 1, "manifest": digest,
               "registered_at": "2026-01-01T00:00:00Z", "registered_by": "x"}},
    "files": [{{"path": "a", "size": count * len(content), "digest": digest}}],
}}).encode()
def fill(file):
    for _ in range(count): file.write(content)
path = Path({str(tmp_path / "large.mlreg")!r})
with path.open("wb") as file:
    portable_file.write(file, record, [(digest, count * len(content), fill)])
found = portable_file.read(path)
assert sum(map(len, portable_file.pieces_of(found, digest))) == count * len(content)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
assert peak < 90_000, peak
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def signed(client, tmp_path):
    """A signed version of `trains` in a file, and the public key."""
    client.models.create(ModelRequest(name="trains", target=TargetForm(task="binary")))
    public = generate_key(tmp_path / "ada.key")
    client.keys.add(KeyRequest(name="ada", public_key=public))
    (tmp_path / "model.bin").write_bytes(b"weights")
    client.versions.register(
        "trains", tmp_path / "model.bin", bare_request, signer=Signer(tmp_path / "ada.key")
    )
    client.portable.export("trains", 1, tmp_path / "trains.mlreg")
    return tmp_path / "trains.mlreg", public


def bring(there, file, model="trains"):
    """Import a file into a model that takes signed versions only."""
    there.models.create(ModelRequest(name=model, target=TargetForm(task="binary")))
    there.keys.require(model, required=True)
    return there.portable.import_file(there.portable.read(file), model=model)


def test_a_signed_version_is_signed_where_its_key_is_trusted(signed, elsewhere):
    file, public = signed
    with elsewhere.client() as there:
        key = there.keys.add(KeyRequest(name="ada-of-there", public_key=public))
        imported = bring(there, file)
        (found,) = there.keys.signatures("trains", imported.number)
        assert (found.key_id, found.trusted) == (key.id, True)
        verify(found.body, public, "trains", imported.manifest)


def test_a_signature_counts_for_nothing_by_a_key_of_elsewhere(signed, elsewhere):
    with elsewhere.client() as there, pytest.raises(RefusedError) as refused:
        bring(there, signed[0])
    assert refused.value.code == "signature_required"


def test_a_signature_is_not_moved_to_another_model(signed, elsewhere):
    file, public = signed
    with elsewhere.client() as there:
        there.keys.add(KeyRequest(name="ada", public_key=public))
        with pytest.raises(RefusedError) as refused:
            bring(there, file, "planes")
    assert refused.value.code == "signature_required"
