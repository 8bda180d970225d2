"""Queries of what was found at each look at a policy's triggers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import func, text
from sqlmodel import col, select

from mlreg.controller.store.tables import Firing, Policy, TriggerRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.domain.triggers import Finding
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

MOST_READINGS = 5
"""How many readings of a finding are kept; a firing keeps them all."""
_INSERT = text("""
    INSERT INTO trigger_record (policy_id, moment, found)
    VALUES (:policy_id, :moment, CAST(:found AS jsonb)) ON CONFLICT DO NOTHING
""")
_PRUNE = text("""
    DELETE FROM trigger_record WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM trigger_record WHERE moment < :before LIMIT :most))
""")


def forms_of(findings: Mapping[str, Finding]) -> list[dict[str, object]]:
    """Return what was found of each trigger as it is kept."""
    return [
        {
            "trigger": name,
            "holds": one.holds,
            "because": one.because,
            "missing": one.missing,
            "readings": one.evidence[-MOST_READINGS:],
        }
        for name, one in findings.items()
    ]


def write_record(
    session: WriteSession, policy_id: int, moment: datetime, findings: Mapping[str, Finding]
) -> None:
    """Insert what was found of every trigger at a moment; of none there is nothing to tell."""
    if not findings:
        return
    found = json.dumps(forms_of(findings))
    session.execute(_INSERT, {"policy_id": policy_id, "moment": moment, "found": found})


def find_moment(session: ReadSession, place: Place, at: datetime | None) -> datetime | None:
    """Return the newest moment of a deployment that was judged by then; None: there is none."""
    query = (
        select(func.max(TriggerRecord.moment))
        .join(Policy, col(Policy.id) == TriggerRecord.policy_id)
        .where(Policy.model_id == place[0], Policy.environment == place[1])
    )
    if at is not None:
        query = query.where(col(TriggerRecord.moment) <= at)
    return session.exec(query).one()


def get_record(session: ReadSession, place: Place, moment: datetime) -> TriggerRecord:
    """Return what was found at a moment: of the newest policy, where two were judged at it."""
    query = (
        select(TriggerRecord)
        .join(Policy, col(Policy.id) == TriggerRecord.policy_id)
        .where(
            Policy.model_id == place[0],
            Policy.environment == place[1],
            TriggerRecord.moment == moment,
        )
        .order_by(col(TriggerRecord.policy_id).desc())
        .limit(1)
    )
    return session.exec(query).one()


def find_firing(session: ReadSession, policy_id: int, moment: datetime) -> Firing | None:
    """Return the firing of a policy at a moment, if that was one."""
    query = select(Firing).where(Firing.policy_id == policy_id, Firing.fire_at == moment)
    return session.exec(query).first()


def prune_records(session: WriteSession, before: datetime, most: int) -> int:
    """Delete records of moments before one, at most so many; return how many went."""
    return session.execute(_PRUNE, {"before": before, "most": most}).rowcount  # type: ignore[attr-defined, no-any-return]
