"""The query of what served at a moment: one statement, by indexes, however long the history is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import RowMapping

    from mlreg.registry.store.database import ReadSession

_AT = text("""
    SELECT environment.name AS environment, deployment.id AS deployment_id,
           first.at AS first_at,
           present.number AS revision, present.champion, present.fallback, present.frozen,
           version.manifest_digest AS digest,
           brought.number AS brought_number, brought.at AS brought_at, brought.cause,
           brought.actor, brought.reason, brought.forced, brought.decision_id,
           brought.approvers, brought.broke_glass,
           ended.number AS ended_number, ended.at AS ended_at, ended.cause AS ended_cause,
           ended.actor AS ended_actor, ended.reason AS ended_reason,
           ended.champion AS ended_champion
    FROM model
    LEFT JOIN environment ON environment.name = :environment
    LEFT JOIN deployment ON deployment.model_id = model.id
                        AND deployment.environment = environment.name
    LEFT JOIN LATERAL (
        SELECT at FROM revision
        WHERE deployment_id = deployment.id ORDER BY number LIMIT 1
    ) AS first ON true
    LEFT JOIN LATERAL (
        SELECT number, champion, fallback, frozen FROM revision
        WHERE deployment_id = deployment.id AND at <= :moment
        ORDER BY at DESC, number DESC LIMIT 1
    ) AS present ON true
    LEFT JOIN LATERAL (
        SELECT coalesce(max(number), 0) + 1 AS number FROM revision
        WHERE deployment_id = deployment.id AND number < present.number
          AND champion IS DISTINCT FROM present.champion
    ) AS began ON true
    LEFT JOIN revision AS brought ON brought.deployment_id = deployment.id
                                 AND brought.number = began.number
                                 AND present.number IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT number, at, cause, actor, reason, champion FROM revision
        WHERE deployment_id = deployment.id AND number > present.number
          AND champion IS DISTINCT FROM present.champion
        ORDER BY number LIMIT 1
    ) AS ended ON true
    LEFT JOIN version ON version.model_id = model.id AND version.number = present.champion
    WHERE model.name = :model AND model.deleted_at IS NULL
""")


def find_reign(
    session: ReadSession, model: str, environment: str, moment: datetime
) -> RowMapping | None:
    """Return what served at a moment, or None when there is no such model.

    Columns are None where there is nothing: no environment, no deployment, no revision yet.
    """
    values = {"model": model, "environment": environment, "moment": moment}
    return session.execute(_AT, values).mappings().one_or_none()
