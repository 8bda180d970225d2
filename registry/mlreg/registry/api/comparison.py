"""The route that compares two versions."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from mlreg.client.wire.comparison import DiffAnswer
from mlreg.registry.api.context import Reading
from mlreg.registry.api.permission import may
from mlreg.registry.api.versions import Number
from mlreg.registry.services.comparison import compare_versions

router = APIRouter(prefix="/models/{model}/versions", tags=["versions"])


@router.get("/{number}/diff/{other}", dependencies=[may("read")])
def diff_versions(model: str, number: Number, other: Number, reading: Reading) -> DiffAnswer:
    """Say what differs from one version to another: code, data, features, params, metrics."""
    with reading() as session:
        found = compare_versions(session, model, number, other)
    return DiffAnswer(model=model, before=number, after=other, **asdict(found))
