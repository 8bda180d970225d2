"""Rows that a test needs and is not about, written straight into the tables."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from sqlmodel import select

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.store import tables

START = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = Actor("ada", "person", "admin")
SERVICE = Actor("ci", "service", "admin")
GUARD = Actor("guard:log_loss", "guard", "controller")
POLICY = Actor("policy:flights/1", "policy", "controller")


def make_model(session, name="flights"):
    model = tables.Model(
        name=name, task="binary", target_contract={}, created_at=START, created_by="test"
    )
    session.add(model)
    session.flush()
    return model


def make_version(session, model, number, *, flavour="lightgbm-text", state="verified"):
    """Write a version with one file of its own; its bytes are nowhere."""
    content = f"{model.name}/{number}".encode()
    digest, size = digest_of(content), len(content)
    manifest = Manifest.of([ManifestFile(path="model.txt", size=size, digest=digest)])
    if session.get(tables.Blob, digest) is None:
        session.add(
            tables.Blob(digest=digest, size=size, state=state, created_at=START, verified_at=START)
        )
        session.add(
            tables.Manifest(
                digest=manifest.digest, body=manifest.body, total_size=size, created_at=START
            )
        )
        session.flush()
        session.add(tables.BlobReference(digest=digest, kind="manifest", owner=manifest.digest))
    session.add(
        tables.Version(
            model_id=model.id,
            number=number,
            manifest_digest=manifest.digest,
            flavour=flavour,
            metrics={},
            tags={},
            missing=[],
            created_at=START,
            created_by="test",
        )
    )
    model.last_version = max(model.last_version, number)
    session.flush()


def make_models(database, name="flights", versions=3):
    """Write a model with versions 1 to `versions`."""
    with database.writing() as session:
        model = make_model(session, name)
        for number in range(1, versions + 1):
            make_version(session, model, number)
        return model.id


def put_bytes(store, name="flights", versions=3):
    """Put the bytes of versions 1 to `versions` where their rows say they are."""
    for number in range(1, versions + 1):
        content = f"{name}/{number}".encode()
        store.put(digest_of(content), io.BytesIO(content), len(content))


def make_decision(session, model_id, challenger, champion, verdict="accepted"):
    decision = tables.Decision(
        model_id=model_id,
        environment="production",
        challenger=challenger,
        champion=champion,
        verdict=verdict,
        evidence={},
        created_at=START,
        created_by="test",
    )
    session.add(decision)
    session.flush()
    return decision.id


def set_blob_state(database, model, number, state):
    with database.writing() as session:
        digest = digest_of(f"{model}/{number}".encode())
        session.exec(select(tables.Blob).where(tables.Blob.digest == digest)).one().state = state
