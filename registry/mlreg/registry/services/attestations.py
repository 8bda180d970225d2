"""Attestations: what somebody found out about a version, kept with it for ever.

What always holds: an attestation is only ever added, together with its entry in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlmodel import col, select

from mlreg.registry.services import audit
from mlreg.registry.services.catalog import id_of
from mlreg.registry.store.tables import Attestation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model, Version

Kind = Literal["reproduce", "verify", "signature"]
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out.

    Attributes:
        kind: by what.
        outcome: in one word, e.g. `identical`, `differs`, `not_reproducible`.
        body: all the rest, as JSON.
    """

    kind: Kind
    outcome: str
    body: Mapping[str, object]


def attest(
    session: WriteSession,
    model: Model,
    number: int,
    finding: Finding,
    *,
    actor: Actor,
    now: datetime,
) -> Attestation:
    """Keep a finding with a version that exists."""
    attestation = Attestation(
        model_id=id_of(model),
        number=number,
        kind=finding.kind,
        outcome=finding.outcome,
        body=dict(finding.body),
        at=now,
        actor=actor.name,
    )
    session.add(attestation)
    session.flush()
    audit.record(
        session,
        action="version.attest",
        subject=f"version:{model.name}/{number}",
        actor=actor,
        body={
            "attestation": attestation.id,
            "kind": finding.kind,
            "outcome": finding.outcome,
            "reason": finding.body.get("reason", ""),
        },
        now=now,
    )
    return attestation


def list_attestations(session: ReadSession, version: Version) -> Sequence[Attestation]:
    """Return the newest attestations of a version, the newest first, twenty at most."""
    return session.exec(
        select(Attestation)
        .where(Attestation.model_id == version.model_id, Attestation.number == version.number)
        .order_by(col(Attestation.id).desc())
        .limit(SHOWN)
    ).all()
