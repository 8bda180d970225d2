"""Models and versions on a real database and a real folder."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from mlreg.registry.artifacts.errors import BlobCorruptError
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.contracts import ContractMismatchError, FeatureContract, FeatureSchema
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.provenance import (
    EnvironmentRecord,
    GitState,
    IncompleteProvenanceError,
    InvalidProvenanceError,
    Provenance,
)
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import catalog, retirement, uploads
from mlreg.registry.services.catalog import ModelSpecification
from mlreg.registry.services.registration import (
    BlobsMissingError,
    Registration,
    register_version,
)
from mlreg.registry.store.tables import AuditEntry, BlobReference, LineageEdge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA = Actor(name="anna", kind="person", role="operator")
SCHEMA = FeatureSchema.from_json(
    [{"name": "distance", "dtype": "float"}, {"name": "carrier", "dtype": "category"}]
)
CONTRACT = SCHEMA.pin({"carrier": ["AA", "UA"]})
FULL = Provenance(
    git=GitState(commit="a" * 40, dirty=False, remote="https://u:secret@example.org/r.git"),
    snapshots=("sha256:" + "1" * 64,),
    feature_contract=CONTRACT,
    hyperparameters={"num_leaves": 31},
    seeds={"seed": 7},
    environment=EnvironmentRecord(
        python="CPython 3.11.9", platform="Linux", cpu="x", packages={"numpy": "2.4.0"}
    ),
    trainer="lightgbm",
    lane="full",
)


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "artifacts")


@pytest.fixture
def session(database):
    with database.writing() as session:
        yield session


@pytest.fixture
def model(session):
    specification = ModelSpecification(
        "flights", TargetContract.from_json({"task": "binary"}), SCHEMA
    )
    return catalog.create_model(session, specification, actor=ANNA, now=NOW)


def manifest_of(session, store, content=b"weights", path="model.txt"):
    blob = uploads.store_blob(session, store, io.BytesIO(content), now=NOW)
    return Manifest.of([ManifestFile(path, blob.size, blob.digest)])


def register(session, manifest, provenance=FULL, **more):
    registration = Registration(model="flights", manifest=manifest, provenance=provenance, **more)
    return register_version(session, registration, actor=ANNA, now=NOW)


def test_a_version_keeps_what_was_said_of_it(session, store, model):
    first = register(session, manifest_of(session, store), metrics={"auc": 0.7}, tags={"a": "b"})
    second = register(session, manifest_of(session, store))
    session.expire_all()
    found = catalog.get_version(session, model, 1)
    assert (first.number, second.number, model.last_version) == (1, 2, 2)
    assert found.git == {
        "commit": "a" * 40,
        "dirty": False,
        "remote": "https://example.org/r.git",
    }
    assert found.missing == []
    assert found.metrics == {"auc": 0.7}
    assert found.created_by == "anna"
    assert catalog.find_feature_contract(session, found) == CONTRACT
    assert catalog.get_manifest(session, found).digest == found.manifest_digest
    edges = session.exec(select(LineageEdge).where(LineageEdge.target == "flights/1")).all()
    assert {edge.source_kind for edge in edges} == {"snapshot", "contract"}
    assert session.exec(select(BlobReference)).one().owner == found.manifest_digest
    actions = session.exec(select(AuditEntry.action).order_by(AuditEntry.seq)).all()
    assert actions == ["model.create", "version.register", "version.register"]


@pytest.mark.usefixtures("model")
def test_a_version_without_provenance_is_refused_unless_allowed(session, store):
    manifest = manifest_of(session, store)
    with pytest.raises(IncompleteProvenanceError) as refused:
        register(session, manifest, Provenance(lane="refit"))
    assert set(refused.value.missing) == {
        "git", "data", "contract", "hyperparameters", "seeds", "environment", "trainer", "parent",
    }  # fmt: skip
    assert "--allow-missing git,data" in refused.value.hint
    allowed = frozenset(refused.value.missing)
    version = register(session, manifest, Provenance(lane="refit"), allow_missing=allowed)
    assert set(version.missing) == allowed
    with pytest.raises(InvalidProvenanceError, match="'colour' is no field"):
        register(session, manifest, allow_missing=frozenset({"colour"}))


@pytest.mark.usefixtures("model")
def test_a_parent_must_exist(session, store):
    with pytest.raises(catalog.VersionNotFoundError):
        register(session, manifest_of(session, store), Provenance(parent=9), allow_missing=FIELDS)


FIELDS = frozenset(
    {"git", "data", "contract", "hyperparameters", "seeds", "environment", "trainer", "lane"}
)


@pytest.mark.usefixtures("model")
def test_a_contract_of_other_columns_is_refused_by_name(session, store):
    other = FeatureContract.from_json([{"name": "distance", "dtype": "int"}, CONTRACT.to_json()[1]])
    provenance = Provenance(feature_contract=other)
    with pytest.raises(ContractMismatchError, match="'distance': it is int"):
        register(session, manifest_of(session, store), provenance, allow_missing=FIELDS)


@pytest.mark.usefixtures("model")
def test_bytes_must_be_stored_first(session):
    manifest = Manifest.of([ManifestFile("model.txt", 3, "sha256:" + "2" * 64)])
    with pytest.raises(BlobsMissingError, match=r"'model\.txt' is not stored"):
        register(session, manifest)


@pytest.mark.usefixtures("model")
def test_a_size_that_is_not_the_blobs_is_refused(session, store):
    file = manifest_of(session, store).files[0]
    with pytest.raises(BlobsMissingError):
        register(session, Manifest.of([ManifestFile(file.path, file.size + 1, file.digest)]))


def test_an_archived_model_takes_no_versions(session, store, model):
    manifest = manifest_of(session, store)
    retirement.archive_model(session, "flights", reason="old", actor=ANNA, now=NOW)
    retirement.archive_model(session, "flights", reason="again", actor=ANNA, now=NOW)
    assert model.archived_reason == "old"
    with pytest.raises(catalog.ModelArchivedError):
        register(session, manifest)
    assert catalog.list_models(session).items == []
    assert len(catalog.list_models(session, archived=True).items) == 1


@pytest.mark.usefixtures("model")
def test_names_are_taken_once(session):
    specification = ModelSpecification("flights", TargetContract.from_json({"task": "binary"}))
    with pytest.raises(catalog.ModelExistsError):
        catalog.create_model(session, specification, actor=ANNA, now=NOW)


def test_lists_come_in_pages(session, store, model):
    manifest = manifest_of(session, store)
    for _ in range(5):
        register(session, manifest)
    page = catalog.list_versions(session, model, limit=2)
    assert [version.number for version in page.items] == [5, 4]
    page = catalog.list_versions(session, model, before=int(page.next), limit=3)
    assert ([version.number for version in page.items], page.next) == ([3, 2, 1], None)


@pytest.mark.usefixtures("model")
def test_references_resolve(session, store):
    register(session, manifest_of(session, store))
    assert catalog.resolve(session, "flights/1")[1].number == 1
    for reference, error in {
        "flights/2": catalog.VersionNotFoundError,
        "trains/1": catalog.ModelNotFoundError,
        "flights@champion": catalog.NoChampionError,
        "flights@champion:moon": catalog.EnvironmentNotFoundError,
    }.items():
        with pytest.raises(error):
            catalog.resolve(session, reference)


@pytest.mark.usefixtures("model")
def test_a_folder_goes_in_and_comes_out_whole(session, store, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.txt").write_bytes(b"m" * 3_000_000)
    (folder / "sub" / "notes.md").write_bytes(b"")
    version = register(session, uploads.store_folder(session, store, folder, now=NOW))
    out = tmp_path / "out"
    uploads.fetch_version(session, store, version, out)
    assert (out / "model.txt").read_bytes() == b"m" * 3_000_000
    assert (out / "sub" / "notes.md").read_bytes() == b""
    with pytest.raises(uploads.FolderNotEmptyError):
        uploads.fetch_version(session, store, version, out)


@pytest.mark.usefixtures("model")
def test_rotten_bytes_never_come_out(session, store, tmp_path):
    manifest = manifest_of(session, store, b"x" * 100)
    version = register(session, manifest)
    (blob,) = store.root.glob("blobs/sha256/*/*")
    blob.chmod(0o600)
    blob.write_bytes(b"x" * 99 + b"y")
    with pytest.raises(BlobCorruptError):
        uploads.fetch_version(session, store, version, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert uploads.find_broken(store, manifest) == manifest.files
    blob.unlink()
    with pytest.raises(BlobCorruptError):
        uploads.fetch_version(session, store, version, tmp_path / "out")
    manifest_of(session, store, b"x" * 100)  # who registers the file again repairs the store
    assert uploads.find_broken(store, manifest) == ()
