"""Queries of the files of versions' stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, insert
from sqlmodel import col, select

from mlreg.registry.store.tables import StageFile, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.domain.stage import Stage
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.registration import NewVersion


def keep_stage(session: WriteSession, version: NewVersion, stage: Stage) -> None:
    """Write the files of a new version's stage."""
    rows = [
        {
            "model_id": version.model_id,
            "number": version.number,
            "name": file.name,
            "kind": file.kind,
            "digest": file.digest,
            "size": file.size,
        }
        for file in stage.files
    ]
    session.execute(insert(StageFile), rows)


def list_stage_files(session: ReadSession, version: Version) -> Sequence[StageFile]:
    """Return the files of a version's stage by name."""
    wanted = (StageFile.model_id == version.model_id, StageFile.number == version.number)
    return session.exec(select(StageFile).where(*wanted).order_by(col(StageFile.name))).all()


def list_predictions(session: ReadSession, model_id: int) -> Sequence[StageFile]:
    """Return the files of predictions of a model's versions that were not purged."""
    statement = (
        select(StageFile)
        .join(
            Version,
            and_(
                col(Version.model_id) == StageFile.model_id,
                col(Version.number) == StageFile.number,
            ),
        )
        .where(
            StageFile.model_id == model_id,
            StageFile.kind == "predictions",
            col(Version.purged_at).is_(None),
        )
        .order_by(col(StageFile.number), col(StageFile.name))
    )
    return session.exec(statement).all()
