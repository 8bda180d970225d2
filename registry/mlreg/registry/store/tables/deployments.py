"""What serves, what served, and what it takes to change that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    flag,
    moment,
    optional_moment,
)


class Deployment(SQLModel, table=True):
    """What serves a model in an environment: the newest revision's content, under a row lock."""

    __tablename__ = "deployment"
    __table_args__ = (
        UniqueConstraint("model_id", "environment"),
        ForeignKeyConstraint(["model_id", "champion"], ["version.model_id", "version.number"]),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str = Field(foreign_key="environment.name")
    revision: int = 0
    champion: int | None = None
    frozen: bool = False
    frozen_reason: str | None = None
    cooldown_until: datetime | None = optional_moment()
    approvals_required: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    updated_at: datetime = moment()


class Revision(SQLModel, table=True):
    """One change of a deployment, for ever.

    `cause` is promote, rollback, guard, policy, freeze, unfreeze, fallback or protect;
    `ended_by_rollback` is never stored: it follows from the next revision's cause. `approvers` are
    those whose approval a promote stood on; `broke_glass` marks one that went without.
    """

    __tablename__ = "revision"
    __table_args__ = (Index("ix_revision_at", "deployment_id", "at", "number"),)

    deployment_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("deployment.id"), primary_key=True, autoincrement=False
        )
    )
    number: int = Field(primary_key=True)
    champion: int | None = None
    candidates: list[dict[str, Any]] = document()
    fallback: str | None = None
    frozen: bool = False
    cause: str
    actor: str
    reason: str = ""
    forced: bool = False
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    approvers: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]")
    )
    broke_glass: bool = flag()
    at: datetime = moment()


class Decision(SQLModel, table=True):
    """The verdict on a challenger with all its evidence; the controller writes it."""

    __tablename__ = "decision"
    __table_args__ = (
        Index("ix_decision_model_id_environment", "model_id", "environment", "id"),
        Index("ix_decision_challenger", "model_id", "challenger", "id"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str = Field(foreign_key="environment.name")
    challenger: int
    champion: int | None = None
    anchor: int | None = None
    verdict: str
    superior: bool = False
    evidence: dict[str, Any] = document()
    snapshot: str | None = None
    run_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    created_at: datetime = moment()
    created_by: str


class Approval(SQLModel, table=True):
    """One person's word on one version in one deployment: `approved` or `rejected`.

    It holds for these very bytes (`manifest_digest`), on this decision (`decision_id`, the newest
    on the version against the champion; None where there is none), while this champion serves
    (`reign`: the number of the revision that brought it). A later word of the same approver on the
    same version takes the place of the earlier, which is withdrawn.
    """

    __tablename__ = "approval"
    __table_args__ = (
        Index(
            "uq_approval_standing",
            "deployment_id",
            "version",
            "approver",
            unique=True,
            postgresql_where=sql("withdrawn_at IS NULL"),
        ),
    )

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False)
    )
    version: int
    manifest_digest: str
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    reign: int
    approver: str
    verdict: str
    reason: str = ""
    at: datetime = moment()
    withdrawn_at: datetime | None = optional_moment()
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None


class ApprovalRequest(SQLModel, table=True):
    """A promote that waits for approvals, bound as they are; the last one promotes.

    `cause` is promote or policy; `outcome` is promoted, refused or withdrawn once it has ended.
    """

    __tablename__ = "approval_request"
    __table_args__ = (
        Index(
            "uq_approval_request_open",
            "deployment_id",
            "version",
            unique=True,
            postgresql_where=sql("ended_at IS NULL"),
        ),
    )

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False)
    )
    version: int
    manifest_digest: str
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    reign: int
    cause: str
    requester: str
    requester_kind: str
    reason: str = ""
    at: datetime = moment()
    ended_at: datetime | None = optional_moment()
    outcome: str | None = None


class VersionBar(SQLModel, table=True):
    """`do-not-promote`: a version that a guard took down here, until a person lifts the bar."""

    __tablename__ = "version_bar"

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False, index=True)
    )
    version: int
    reason: str
    actor: str
    at: datetime = moment()
    lifted_at: datetime | None = optional_moment()
    lifted_by: str | None = None


class Acknowledgement(SQLModel, table=True):
    """The revision that one scorer or client says it serves."""

    __tablename__ = "acknowledgement"

    deployment_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("deployment.id"), primary_key=True, autoincrement=False
        )
    )
    client: str = Field(primary_key=True)
    revision: int
    at: datetime = moment()
