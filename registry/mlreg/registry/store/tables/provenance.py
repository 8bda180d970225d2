"""What is known of a version besides: its contract, its stage, notes, attestations, lineage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
)
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_moment,
    text,
)


class Contract(SQLModel, table=True):
    """A feature or target contract, stored once by the digest of its canonical JSON."""

    __tablename__ = "contract"

    digest: str = Field(primary_key=True)
    kind: str
    body: dict[str, Any] = document()


class StageFile(SQLModel, table=True):
    """One file of the stage that trained a version, beside the model: code, a log, a curve.

    The names, sizes and digests of a version's stage are also a manifest, `version.stage_digest`;
    that digest owns the references (kind `stage`) which keep the blobs.
    """

    __tablename__ = "stage_file"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
    )

    model_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    number: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    kind: str
    digest: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))


class CardNote(SQLModel, table=True):
    """What a person wrote into the card of a model, or of one version; the newest note counts.

    Append-only: a note is amended by the next one, and an empty text takes it back.
    """

    __tablename__ = "card_note"
    __table_args__ = (Index("ix_card_note_model_id", "model_id", "id"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    number: int | None = None
    section: str
    text: str = text()
    at: datetime = moment()
    actor: str


class Attestation(SQLModel, table=True):
    """What somebody found out about a version, for ever: that it was rebuilt, and how alike."""

    __tablename__ = "attestation"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
        Index("ix_attestation_version", "model_id", "number", "id"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    number: int
    kind: str
    outcome: str
    body: dict[str, Any] = document()
    at: datetime = moment()
    actor: str


class LineageEdge(SQLModel, table=True):
    """One arrow of the lineage graph, from what was used to what came of it.

    It belongs to the model whose record says so, and who may not read that model does not see it.
    """

    __tablename__ = "lineage_edge"
    __table_args__ = (
        Index("ix_lineage_edge_target", "target_kind", "target"),
        Index(
            "ix_lineage_edge_unexported",
            "created_at",
            "target_kind",
            "target",
            postgresql_where=sql("exported_at IS NULL"),
        ),
    )

    source_kind: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    target_kind: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    created_at: datetime = moment()
    exported_at: datetime | None = optional_moment()
