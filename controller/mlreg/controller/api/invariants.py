"""Routes of invariants."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.invariants import (
    CheckAnswer,
    CheckFound,
    CheckRequest,
    InvariantAnswer,
    InvariantReading,
    InvariantsAnswer,
    InvariantsRequest,
)
from mlreg.controller.domain.invariants.invariant import RowInvariant
from mlreg.controller.services import invariants, snapshot_checks
from mlreg.controller.services.invariants import Declared
from mlreg.controller.services.snapshot_checks import Check, CheckNotFoundError
from mlreg.controller.store.invariants import newest_readings
from mlreg.controller.store.tables import Reading as ReadingRow
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import check_environment, get_model
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["invariants"])
Number = Annotated[int, Path(ge=1, lt=2**63)]
SetNumber = Annotated[int | None, Query(ge=1, lt=2**31)]
PLACE = "/models/{model}/invariants"


@router.post("/invariants", response_model=InvariantsAnswer, dependencies=[may("policy.write")])
def apply_invariants(
    body: InvariantsRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Declare what holds in a model's rows."""
    permit(caller, "policy.write", invariants.parse_invariants(body.text).model)

    def act() -> InvariantsAnswer:
        declared = invariants.apply_invariants(session, body.text, actor=caller, now=now)
        return answer_of(declared, {})

    with writing() as session:
        return once.run(session, now, act)


@router.get(PLACE, dependencies=[may("read")])
def show_invariants(
    model: str, reading: Reading, environment: str = "production", number: SetNumber = None
) -> InvariantsAnswer:
    """Show what is declared, each invariant with its newest reading."""
    with reading() as session:
        declared = invariants.get_invariants(session, get_model(session, model), number)
        check_environment(session, environment)
        monitors = [invariants.PREFIX + one.name for one in declared.invariants]
        found = newest_readings(session, (declared.model_id, environment), monitors)
    return answer_of(declared, found)


@router.get(PLACE + "/history", dependencies=[may("read")])
def list_invariants(
    model: str, reading: Reading, before: Before = None, limit: Limit = 100
) -> Page[InvariantsAnswer]:
    """List everything that was declared, the newest first."""
    with reading() as session:
        found = invariants.list_declared(
            session, get_model(session, model), before=before, limit=limit + 1
        )
    answers = [answer_of(declared, {}) for declared in found]
    return numbered_page(answers, limit, lambda one: one.number)


@router.post(
    PLACE + "/checks",
    status_code=202,
    response_model=CheckAnswer,
    dependencies=[may("run.write")],
)
def request_check(
    model: str,
    body: CheckRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for a snapshot to be checked."""

    def act() -> CheckAnswer:
        number = snapshot_checks.request_check(
            session, get_model(session, model), body.snapshot, actor=caller, now=now
        )
        return check_answer(snapshot_checks.get_check(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/checks/{number}", dependencies=[may("read")])
def show_check(number: Number, reading: Reading, caller: Caller) -> CheckAnswer:
    """Show a check of a snapshot."""
    with reading() as session:
        found = snapshot_checks.get_check(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=CheckNotFoundError(number=number))
    return check_answer(found)


def answer_of(declared: Declared, latest: dict[str, ReadingRow]) -> InvariantsAnswer:
    """Return what is declared as it is answered."""
    return InvariantsAnswer(
        model=declared.model,
        number=declared.number,
        invariants=[
            InvariantAnswer(
                name=one.name,
                kind=one.kind,
                rule=one.rule,
                severity=one.severity,
                at_most=one.at_most if isinstance(one, RowInvariant) else None,
                alert=one.alert,
                latest=_reading_of(latest.get(invariants.PREFIX + one.name)),
            )
            for one in declared.invariants
        ],
        source=declared.source,
        applied_at=declared.created_at,
        applied_by=declared.created_by,
    )


def check_answer(found: Check) -> CheckAnswer:
    """Return a check as it is answered."""
    return CheckAnswer(
        number=found.number,
        state=found.state,
        error=found.error,
        found=None if found.found is None else CheckFound.model_validate(found.found),
    )


def _reading_of(row: ReadingRow | None) -> InvariantReading | None:
    if row is None:
        return None
    return InvariantReading(
        start=row.start,
        end=row.end,
        value=row.value,
        rows=row.rows,
        state=row.state,
        verdict=row.verdict,
    )
