"""The route of what served at a moment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mlreg.client.wire.decisions import DecisionAnswer
from mlreg.client.wire.reigns import HandAnswer, ReignAnswer
from mlreg.registry.api.context import Now, Reading
from mlreg.registry.api.permission import may
from mlreg.registry.services.reigns import Reign, get_reign, parse_moment
from mlreg.registry.store.tables import Decision

router = APIRouter(tags=["deployments"])
MAX_TIME = 64
Time = Annotated[
    str,
    Query(max_length=MAX_TIME, examples=["2026-03-01T12:00Z"], description="UTC without a zone"),
]


@router.get("/models/{model}/deployments/{environment}/at", dependencies=[may("read")])
def show_reign(model: str, environment: str, time: Time, reading: Reading, now: Now) -> ReignAnswer:
    """Show what served at a moment, by whose hand and on what evidence."""
    with reading() as session:
        found = get_reign(session, model, environment, parse_moment(time, now))
    return answer_of(model, found)


def answer_of(model: str, found: Reign) -> ReignAnswer:
    """Return a reign as it is answered."""
    facts = found.facts
    names = ("environment", "revision", "champion", "digest", "fallback", "frozen")
    return ReignAnswer(
        model=model,
        time=found.moment.at,
        assumed_utc=found.moment.assumed_utc,
        **{name: facts[name] for name in names},
        brought=HandAnswer(
            revision=facts["brought_number"],
            champion=facts["champion"],
            at=facts["brought_at"],
            cause=facts["cause"],
            actor=facts["actor"],
            reason=facts["reason"],
            forced=facts["forced"],
            approvers=facts["approvers"],
            broke_glass=facts["broke_glass"],
        ),
        ended=_ended(found),
        decision=None if found.decision is None else _decision(model, found.decision),
    )


def _ended(found: Reign) -> HandAnswer | None:
    facts = found.facts
    if facts["ended_number"] is None:
        return None
    names = ("champion", "at", "cause", "actor", "reason")
    same = {name: facts[f"ended_{name}"] for name in names}
    return HandAnswer(revision=facts["ended_number"], **same)


def _decision(model: str, decision: Decision) -> DecisionAnswer:
    same = decision.model_dump(exclude={"id", "model_id", "run_id"})
    reason = str(decision.evidence.get("reason", ""))
    return DecisionAnswer(
        number=decision.id or 0, model=model, run=decision.run_id, reason=reason, **same
    )
