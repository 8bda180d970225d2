"""Fault 27: bytes that rot, shrink or vanish at rest are all found, put aside and never promoted.

The champion's pointer stays where it is; who brings the right bytes again heals the blob.
"""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlmodel import func, select

from mlreg.controller.services.upkeep import INCIDENT_KIND, alert_of_endangered
from mlreg.controller.store.tables import Incident
from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.artifacts.verifying import key_of
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.revisions import BlobUnfitError
from mlreg.registry.services import audit, deployments, scrubbing, uploads
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.scrubbing import Pace
from mlreg.registry.services.uploads import BlobFile
from mlreg.registry.store import blobs, tables
from tests.makers import PERSON, START, make_models, put_bytes

pytestmark = [pytest.mark.s3, pytest.mark.slow]
VERSIONS = 12
LATER = START + timedelta(days=14)


class Folder:
    def __init__(self, store):
        self.store = store

    def spoil(self, digest, content):
        path = self.store.root / key_of(digest)
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    def quarantined(self):
        return [path.read_bytes() for path in (self.store.root / "quarantine").iterdir()]


class Bucket:
    def __init__(self, store):
        self.store = store

    def spoil(self, digest, content):
        place = self.store.place(key_of(digest))
        self.store.client.delete_object(**place)
        if content is not None:
            self.store.client.put_object(**place, Body=content)

    def quarantined(self):
        place = self.store.place("quarantine/")
        found = self.store.client.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"])
        return [
            self.store.client.get_object(Bucket=place["Bucket"], Key=item["Key"])["Body"].read()
            for item in found.get("Contents", ())
        ]


@pytest.fixture(params=["folder", "rclone", "moto"])
def rot(request, store):
    if request.param == "folder":
        return Folder(store)
    return Bucket(request.getfixturevalue(request.param).store())


def content_of(number):
    return f"flights/{number}".encode()


def promote(database, store, version, *, to_former=False):
    change = Change("flights", "production", PERSON, "why")
    with database.writing() as session:
        if to_former:
            return deployments.rollback(session, change, to=version, store=store, now=START)
        return deployments.promote(
            session, change, version=version, force=True, store=store, now=START
        )


def scrub_all(database, store, now=LATER):
    """Scrub as the chore does, until nothing is due."""
    corrupt = []
    while True:
        found = scrubbing.scrub_some(
            database, store, now, pace=Pace(seconds=60, bytes_per_second=None)
        )
        corrupt += found.corrupt
        if not found.blobs:
            return corrupt


DAMAGES = {
    2: b"flights/3",  # other bytes of the same length
    4: b"flightS/4",  # a bit flipped
    5: None,  # gone
    6: b"flight",  # cut
    7: b"",  # empty
    8: b"flights/8 and more",  # grown
}


def test_every_damage_is_found_and_nothing_else(database, rot):
    store = rot.store
    make_models(database, versions=VERSIONS)
    put_bytes(store, versions=VERSIONS)
    promote(database, store, 2)
    promote(database, store, 1)
    promote(database, store, 4)
    for number, content in DAMAGES.items():
        rot.spoil(digest_of(content_of(number)), content)

    corrupt = scrub_all(database, store)

    assert {name for blob in corrupt for name in blob.versions} == {
        f"flights/{number}" for number in DAMAGES
    }
    assert sorted(rot.quarantined()) == sorted(
        content for content in DAMAGES.values() if content is not None
    )
    for number in range(1, VERSIONS + 1):
        if number in DAMAGES:
            with pytest.raises((BlobCorruptError, BlobNotFoundError)):
                read_blob(store, digest_of(content_of(number)))
        else:
            assert read_blob(store, digest_of(content_of(number))) == content_of(number)
    for number in set(DAMAGES) - {4}:
        with pytest.raises(BlobUnfitError, match="corrupt"):
            promote(database, None, number)
    with pytest.raises(BlobUnfitError):
        promote(database, store, 2, to_former=True)
    with database.reading() as session:
        assert deployments.get_deployment(session, "flights", "production").champion == 4
        assert len(session.exec(select(tables.Blob).where(tables.Blob.state == "corrupt")).all())
        found = audit.list_entries(session, audit.AuditFilter(action="blob.corrupt"))
        assert len(found) == len(DAMAGES)
        events = session.exec(
            select(tables.OutboxMessage).where(tables.OutboxMessage.topic == "blob.corrupt")
        ).all()
    champions = [event.body["champions"] for event in events if event.body["champions"]]
    assert champions == [["flights/4 in production"]]


def test_a_champion_in_need_opens_one_incident_and_the_right_bytes_heal(database, rot):
    store = rot.store
    make_models(database, versions=2)
    put_bytes(store, versions=2)
    promote(database, store, 1)
    digest = digest_of(content_of(1))
    rot.spoil(digest, b"flights/!")
    scrub_all(database, store)
    assert len(alert_of_endangered(database)) == 1
    assert alert_of_endangered(database) == []
    with database.reading() as session:
        (incident,) = session.exec(select(Incident)).all()
    assert (incident.kind, incident.environment) == (INCIDENT_KIND, "production")

    store.put(digest, io.BytesIO(content_of(1)), len(content_of(1)))
    with database.writing() as session:
        uploads.keep_blob(session, store, BlobFile(digest, len(content_of(1))), now=LATER)
    assert read_blob(store, digest) == content_of(1)
    assert scrub_all(database, store, LATER + timedelta(days=14)) == []
    promote(database, store, 2)
    promote(database, store, 1, to_former=True)
    with database.reading() as session:
        blob = session.get(tables.Blob, digest)
        topics = [event.topic for event in session.exec(select(tables.OutboxMessage))]
    assert (blob.state, blob.fault, blob.quarantine) == ("verified", None, None)
    assert topics.count("blob.healed") == 1


def test_each_model_is_told_of_its_own_versions_and_of_no_others(database, store):
    make_models(database, versions=1)
    make_models(database, "fraud", versions=2)
    put_bytes(store, versions=1)
    put_bytes(store, "fraud", versions=2)
    with database.writing() as session:
        session.connection().exec_driver_sql(
            "UPDATE version SET manifest_digest = (SELECT v.manifest_digest FROM version v"
            " JOIN model m ON m.id = v.model_id WHERE m.name = 'flights') FROM model"
            " WHERE model.id = version.model_id AND model.name = 'fraud' AND version.number = 2"
        )
    Folder(store).spoil(digest_of(content_of(1)), b"flights/!")
    scrub_all(database, store)
    with database.reading() as session:
        told = session.exec(select(tables.OutboxMessage)).all()
        (entry,) = audit.list_entries(session, audit.AuditFilter(action="blob.corrupt"))
    bodies = {event.body["model"]: event.body["versions"] for event in told}
    assert bodies == {"flights": ["flights/1"], "fraud": ["fraud/2"]}
    assert '"fraud/2"' in entry.body
    assert '"flights/1"' in entry.body


def test_more_blobs_than_a_statement_has_parameters(database):
    digests = [digest_of(str(number).encode()) for number in range(70_000)]
    with database.writing() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO blob (digest, size, state, created_at, verified_at)"
            " SELECT digest, 1, 'verified', now(), now() FROM unnest(%s::text[]) AS digest",
            (digests,),
        )
        blobs.refer_to_blobs(session, digests, "snapshot", "large")
        assert len(blobs.verified_sizes(session, digests)) == len(digests)
        blobs.spare(session, digests)
        count = session.exec(select(func.count()).select_from(tables.BlobReference)).one()
        session.rollback()
    assert count == len(digests)


def test_every_blob_is_looked_at_in_time_the_oldest_first(database, store):
    make_models(database, versions=VERSIONS)
    put_bytes(store, versions=VERSIONS)
    pace = Pace(max_age=timedelta(days=14), seconds=0.0, bytes_per_second=None)
    assert scrubbing.scrub_some(database, store, START + timedelta(days=6), pace=pace).blobs == 0
    seen = 0
    for turn in range(VERSIONS):
        now = START + timedelta(days=7, minutes=turn + 1)
        seen += scrubbing.scrub_some(database, store, now, pace=pace).blobs
    assert seen == VERSIONS
    with database.reading() as session:
        oldest = min(session.exec(select(tables.Blob.verified_at)).all())
    assert oldest > START + timedelta(days=7)


def test_a_scrub_keeps_its_pace(database, store):
    make_models(database, versions=4)
    put_bytes(store, versions=4)
    waited = []

    class Halt:
        def is_set(self):
            return False

        def wait(self, seconds):
            waited.append(seconds)

    pace = Pace(bytes_per_second=9.0, halt=Halt())
    assert scrubbing.scrub_some(database, store, LATER, pace=pace).blobs == 4
    assert len(waited) == 4
    assert max(waited) == pytest.approx(4, abs=0.5)  # 36 bytes at 9 a second, less the work's time


def test_a_look_is_forgotten_when_the_bytes_came_anew_meanwhile(database, store):
    """Who heals a blob while a scrub reads its rotten bytes is not undone by what it read."""
    make_models(database, versions=1)
    put_bytes(store, versions=1)
    digest = digest_of(content_of(1))
    path = store.root / key_of(digest)
    path.unlink()
    path.write_bytes(b"rotten")

    class Healing:
        """A store whose second look comes after somebody brought the right bytes."""

        def __init__(self):
            self.looks = 0

        def open(self, name):
            self.looks += 1
            if self.looks == 2:
                reader = store.open(name)
                with database.writing() as session:
                    session.get(tables.Blob, digest).verified_at = LATER
                return reader
            return store.open(name)

        def __getattr__(self, name):
            return getattr(store, name)

    with database.reading() as session:
        blob = scrubbing.at_rest.list_named(session, [digest])[0]
    look = scrubbing.integrity.look_at(Healing(), blob, LATER)
    assert look.fault is not None
    with database.writing() as session:
        assert scrubbing.integrity.remember(session, [look]) == []
    with database.reading() as session:
        assert session.get(tables.Blob, digest).state == "verified"
