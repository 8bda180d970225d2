"""Decisions: the verdicts on challengers, written once with all their evidence, and their anchor.

What always holds: a decision is only ever inserted, together with its audit entry; the newest
decision on a pair of challenger and champion is the one that counts, so an accepted one ends when a
later look at the same pair says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from mlreg.registry.domain.errors import InvalidError, NotFoundError
from mlreg.registry.domain.revisions import list_ended_by_rollback
from mlreg.registry.services import audit
from mlreg.registry.store.deployments import deleted_versions, list_all_barred, walk_facts
from mlreg.registry.store.tables import Decision, Deployment, Model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession

VERDICTS = ("accepted", "rejected", "inconclusive")


class DecisionNotFoundError(NotFoundError):
    """There is no decision of this number."""

    code = "decision_not_found"
    hint = "`mlreg decision list MODEL` shows what there is."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"there is no decision {number}")


class InvalidJudgementError(InvalidError):
    """What should be recorded is no judgement."""

    code = "invalid_judgement"

    def __init__(self, *, verdict: object) -> None:
        super().__init__(f"a verdict is one of {', '.join(VERDICTS)}, not {verdict!r}")


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Who was judged against whom, where, on what, by which run.

    Attributes:
        anchor: the version that the margin was spent against, if it was another than the champion.
        snapshot: digest of the rows.
        run_id: the run that trained the challenger, or None.
    """

    model: Model
    environment: str
    challenger: int
    champion: int | None
    anchor: int | None = None
    snapshot: str | None = None
    run_id: int | None = None


def record_decision(
    session: WriteSession,
    pair: JudgedPair,
    judgement: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
) -> Decision:
    """Write the decision of a judgement (the JSON form of `domain.judging.Judgement`).

    Raises:
        InvalidJudgementError: it has no verdict.
    """
    if judgement.get("verdict") not in VERDICTS:
        raise InvalidJudgementError(verdict=judgement.get("verdict"))
    decision = Decision(
        model_id=model_id(pair.model),
        environment=pair.environment,
        challenger=pair.challenger,
        champion=pair.champion,
        anchor=pair.anchor,
        verdict=judgement["verdict"],
        superior=bool(judgement.get("superior", False)),
        evidence=dict(judgement),
        snapshot=pair.snapshot,
        run_id=pair.run_id,
        created_at=now,
        created_by=actor.name,
    )
    session.add(decision)
    session.flush()
    audit.record(
        session,
        action="decision.recorded",
        subject=f"{pair.model.name}/{pair.challenger}",
        actor=actor,
        body=_entry(decision),
        now=now,
    )
    return decision


def _entry(decision: Decision) -> dict[str, object]:
    """Return what the audit log keeps of a decision; its evidence stays with it."""
    return {
        "decision": decision.id,
        "environment": decision.environment,
        "champion": decision.champion,
        "anchor": decision.anchor,
        "verdict": decision.verdict,
        "superior": decision.superior,
        "snapshot": decision.snapshot,
        "run": decision.run_id,
        "reason": str(decision.evidence.get("reason", "")),
    }


def get_decision(session: ReadSession, number: int) -> Decision:
    """Return a decision.

    Raises:
        DecisionNotFoundError: there is none of that number.
    """
    found = session.get(Decision, number)
    if found is None:
        raise DecisionNotFoundError(number=number)
    return found


def list_decisions(
    session: ReadSession, model: Model, *, before: int | None = None, limit: int = 100
) -> Sequence[Decision]:
    """Return a page of a model's decisions, newest first."""
    wanted = select(Decision).where(Decision.model_id == model_id(model))
    if before is not None:
        wanted = wanted.where(col(Decision.id) < before)
    return session.exec(wanted.order_by(col(Decision.id).desc()).limit(limit)).all()


def find_anchor(session: ReadSession, model: Model, environment: str) -> int | None:
    """Return the version that the margin is spent against, or None in an empty deployment.

    The newest former or present champion that was accepted as superior; where none ever was, the
    first champion. Versions that a rollback took down, or that are barred, are no anchor: what was
    found to be bad must not hold back what is good.
    """
    deployment_id = session.exec(
        select(Deployment.id).where(
            Deployment.model_id == model_id(model), Deployment.environment == environment
        )
    ).first()
    if deployment_id is None:
        return None
    superior = set(
        session.exec(
            select(Decision.challenger).where(
                Decision.model_id == model_id(model),
                Decision.environment == environment,
                Decision.verdict == "accepted",
                col(Decision.superior).is_(True),
            )
        ).all()
    )
    anchor = None
    barred = list_all_barred(session, [deployment_id]).get(deployment_id, ())
    out = {*barred, *deleted_versions(session, deployment_id)}
    for anchor in _standing_champions(session, deployment_id, out):
        if anchor in superior:
            break
    return anchor


def _standing_champions(
    session: ReadSession, deployment_id: int, out: Collection[int]
) -> Iterator[int]:
    """Yield each champion once, newest reign first, but those rolled back, barred or deleted."""
    facts = list(walk_facts(session, deployment_id))
    ended = set(list_ended_by_rollback(facts))
    seen = set(out)
    for fact in facts:
        if fact.champion is None or fact.champion in seen:
            continue
        seen.add(fact.champion)
        if fact.number not in ended:
            yield fact.champion


def model_id(model: Model) -> int:
    """Return the key of a stored model."""
    if model.id is None:
        message = "the model is not stored"
        raise ValueError(message)
    return model.id
