"""Fault 39, models: broken LightGBM files, pickles in every wrapping, and bombs.

By the front door (register) they are refused or flagged; where somebody forged the rows behind it,
evaluation and scoring refuse them, with a child dead at most. No server ever loads one.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import resource
import struct
import tarfile
import urllib.request
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.errors import InvalidError, RefusedError
from mlreg.client.scoring.errors import ModelFileError
from mlreg.client.scoring.parser import ModelParser
from mlreg.client.scoring.scorer import Scorer
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.controller.services import evaluations
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.flavours import HEAD_BYTES, flavour_of_file
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.provenance import REQUIRED, Provenance
from mlreg.registry.services import catalog, deployments, uploads
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.registration import Registration, register_version
from mlreg.registry.services.uploads import BlobFile
from mlreg.registry.store.clock import SystemClock
from tests.faults.workers import await_true
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_stream,
    make_model,
    promote_by_hand,
    specification,
    worker,
)
from tests.unit.test_lightgbm_text import MUTATIONS, train

pytestmark = pytest.mark.slow
CORPUS = (
    *("left child out of range", "right child far below", "child is itself", "cycle of two"),
    *("leaf with two parents", "split feature beyond", "split feature negative"),
    *("num_leaves too large", "num_leaves huge", "num_cat too large", "cat_boundaries beyond"),
    *("cat_threshold too few", "leaf values too few", "max_feature_idx too small"),
    *("num_class large", "tree_sizes first grown", "truncated in a tree", "NUL byte"),
)


class Evil:
    """Its pickle leaves a file behind when it is loaded."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (os.mkdir, (self.mark,))


def zip_of(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return out.getvalue()


def tar_of(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("model")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def npy_of(value):
    out = io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = value
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def joblib_of(evil):
    """Return what joblib writes: a pickle whose arrays' bytes lie between its operations."""
    return pickle.dumps(evil, protocol=4) + b"\x03" + bytes(3) + np.arange(100.0).tobytes()


WRAPPINGS = {
    "pickle": pickle.dumps,
    "pickle, protocol 0": lambda evil: pickle.dumps(evil, protocol=0),
    "pickle, protocol 1": lambda evil: pickle.dumps([1.5] * 2000 + [evil], protocol=1),
    "joblib": joblib_of,
    "joblib, zlib": lambda evil: zlib.compress(joblib_of(evil), 3),
    "gzip": lambda evil: gzip.compress(pickle.dumps(evil)),
    "xz": lambda evil: lzma.compress(pickle.dumps(evil)),
    "lzma": lambda evil: lzma.compress(pickle.dumps(evil), format=lzma.FORMAT_ALONE),
    "bzip2": lambda evil: bz2.compress(pickle.dumps(evil)),
    "zlib": lambda evil: zlib.compress(pickle.dumps(evil)),
    "zip": lambda evil: zip_of(("model", pickle.dumps(evil))),
    "zip in a zip": lambda evil: zip_of(("inner", zip_of(("model", pickle.dumps(evil))))),
    "zip behind other bytes": lambda evil: (
        b"harmless" * 2000 + zip_of(("model", pickle.dumps(evil)))
    ),
    "tar": lambda evil: tar_of(pickle.dumps(evil)),
    "npy of objects": npy_of,
}
BOMBS = {
    "gzip of zeros": lambda: gzip.compress(bytes(200_000_000), 9),
    "zip of zeros": lambda: zip_of(("zeros", bytes(200_000_000))),
    "zip in zip in zip": lambda: zip_of(("a", zip_of(("b", zip_of(("c", bytes(50_000_000))))))),
    "xz with a dictionary of 4 GB": lambda: b"\xfd7zXZ\0\0\4" + b"\x02\x00\x21\x01\x28" * 100,
    "pickle of depth": lambda: b"\x80\x04" + b"(" * 1_000_000 + b".",
    "pickle of a huge frame": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
}


@pytest.fixture(scope="module")
def text():
    return train()


@pytest.fixture
def flights(client):
    client.models.create(ModelRequest(name="flights", target=TargetForm(task="binary")))
    return client


def request_of(files):
    return VersionRequest(files=files, provenance=ProvenanceForm(), allow_missing=list(REQUIRED))


def register(client, folder, name, content):
    file = folder / name
    file.write_bytes(content)
    return client.versions.register("flights", file, request_of)


def is_alive(api):
    with urllib.request.urlopen(f"{api.url}/healthz", timeout=5) as answer:
        return answer.status == 200


CONTRACT = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in "abcd"])


def forge(database, store, content, contract=CONTRACT):
    """Register bytes past every inspection, as who writes into the tables and the store could."""
    blob = uploads.send_blob(store, io.BytesIO(content))
    manifest = Manifest.of([ManifestFile(path="model.txt", size=blob.size, digest=blob.digest)])
    now = SystemClock().now()
    with database.writing() as session:
        uploads.keep_blob(session, store, BlobFile(blob.digest, blob.size), now=now)
        registration = Registration(
            model="flights",
            manifest=manifest,
            provenance=Provenance(feature_contract=contract),
            flavour="lightgbm-text",
            allow_missing=frozenset(REQUIRED),
        )
        return register_version(session, registration, actor=PERSON, now=now).number


def test_every_broken_model_is_refused_at_the_door_by_a_server_that_lives(
    flights, api, text, tmp_path
):
    for name in CORPUS:
        with pytest.raises(InvalidError) as refused:
            register(flights, tmp_path, "model.txt", MUTATIONS[name](text).encode())
        assert refused.value.code == "invalid_model_file", name
    assert is_alive(api)
    assert flights.models.get("flights").last_version == 0
    assert register(flights, tmp_path, "model.txt", text.encode()).flavour == "lightgbm-text"


def test_a_scorer_refuses_what_was_forged_and_keeps_what_it_has(
    flights, database, store, text, tmp_path
):
    """A champion whose file was changed behind our back is never parsed in the serving process."""
    parser = ModelParser(tmp_path / "parsed")
    for name in CORPUS:
        with pytest.raises(ModelFileError):
            parser.check(MUTATIONS[name](text).encode())
    good = forge(database, store, text.encode())
    promote(database, good)
    scorer = Scorer(flights, "flights", cache=tmp_path / "cache", name="app")
    assert scorer.refresh()
    columns = {name: [0.5, 1.5] for name in "abcd"}
    before = scorer.predict(columns)
    promote(database, forge(database, store, MUTATIONS["child is itself"](text).encode()))
    with suppress(ModelFileError):
        scorer.refresh()
    assert scorer.predict(columns).version == before.version == good


def promote(database, version):
    with database.writing() as session:
        change = Change("flights", "production", PERSON, "why")
        deployments.promote(session, change, version=version, force=True, now=SystemClock().now())


@pytest.mark.parametrize("name", WRAPPINGS)
@pytest.mark.parametrize("path", ["innocent.bin", "model.txt", "model.onnx"])
def test_a_pickle_is_flagged_in_every_wrapping(tmp_path, name, path):
    content = WRAPPINGS[name](Evil(tmp_path / "loaded"))
    flavour = flavour_of_file(path, content[:HEAD_BYTES], content[-66_000:])
    assert flavour in {"pickle", "packed"}


def test_pickles_are_kept_flagged_never_loaded_and_never_promoted(flights, api, tmp_path):
    mark = tmp_path / "loaded"
    for name, wrap in WRAPPINGS.items():
        version = register(flights, tmp_path, "innocent.bin", wrap(Evil(mark)))
        assert version.unsafe, name
        with pytest.raises(RefusedError) as refused:
            flights.deployments.promote("flights", version.number, force=True, reason="please")
        assert refused.value.code == "unsafe_format", name
        assert flights.versions.verify("flights", version.number).broken == []
    assert not mark.exists()
    assert is_alive(api)
    flights.models.allow_unsafe("flights", allowed=True, reason="their clients know what they do")
    flights.deployments.promote("flights", 1, force=True, reason="allowed")
    assert not mark.exists()


def test_bombs_do_not_go_off(flights, api, tmp_path):
    contents = {name: make() for name, make in BOMBS.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, content in contents.items():
        assert register(flights, tmp_path, "innocent.bin", content).unsafe, name
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 150_000  # kB, server and client together
    assert is_alive(api)


@given(st.binary(max_size=600))
def test_whatever_the_bytes_a_flavour_is_told(content):
    assert flavour_of_file("a.bin", content, content)


@pytest.mark.parametrize(
    "content",
    [
        *(b"col1,col2\n1,2\n3,4\n", b"config\nvalue\n", b"(a)\n", b"# notes\n", b"{}", b""),
        *(b"0.5 0.25\n" * 900, b"import os\n" * 600, b"N.", bytes(5000)),
    ],
)
def test_plain_files_are_not_called_unsafe(content):
    assert flavour_of_file("a.bin", content[:HEAD_BYTES], content[-66_000:]) == "opaque"


def test_an_evaluation_of_a_forged_model_fails_and_says_why_and_the_worker_lives(
    database, store, tmp_path
):
    model = make_model(database)
    clock = FixedClock(START + 32 * DAY)
    with worker(database, store, clock, tmp_path / "work"):
        log_stream(database, model, START, 31)
        first = await_end(database, ask(database, now=clock.moment))
        promote_by_hand(database, first.version, now=clock.moment, actor=PERSON)
        log_stream(database, model, START + 31 * DAY, 20)
        clock.moment += 20 * DAY
        with database.reading() as session:
            champion = catalog.get_version(session, model, first.version)
            contract = catalog.find_feature_contract(session, champion)
            files = catalog.get_manifest(session, champion).files
        (digest,) = (file.digest for file in files if file.path == "model.txt")
        text = read_blob(store, digest).decode()
        for name in ("child is itself", "num_leaves huge"):
            forged = forge(database, store, MUTATIONS[name](text).encode(), contract)
            with database.writing() as session:
                number = evaluations.request_evaluation(
                    session,
                    evaluations.EvaluationRequest(
                        catalog.get_model(session, "flights"),
                        "production",
                        forged,
                        specification(),
                    ),
                    actor=PERSON,
                    now=clock.moment,
                )

            def found(number=number):
                with database.reading() as session:
                    return evaluations.get_evaluation(session, number)

            await_true(lambda: found().state not in {"queued", "running"})
            assert found().state in {"failed", "dead"}
            assert found().error
        again = await_end(database, ask(database, now=clock.moment))
        assert again.state == "succeeded"
