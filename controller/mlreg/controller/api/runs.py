"""Routes of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.runs import CancelRequest, LineAnswer, RetrainRequest, RunAnswer, RunState
from mlreg.controller.api.costs import cost_of
from mlreg.controller.services import retraining, runs
from mlreg.controller.services.retraining import Options
from mlreg.controller.services.runs import RunNotFoundError, RunView
from mlreg.controller.services.waiting import why_waiting
from mlreg.registry.api.context import Caller, Reading, SharedNow, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import Listed, may, permit
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.pages import MAX_PAGE
from mlreg.registry.domain.permissions import Action
from mlreg.registry.domain.provenance import GitState
from mlreg.registry.store.database import ReadSession

router = APIRouter(tags=["runs"])
Number = Annotated[int, Path(ge=1, lt=2**63)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[int | None, Query(ge=1, lt=2**63)]
After = Annotated[int, Query(ge=0, lt=2**63)]
DATA = ("train_window", "evaluate_window", "label_delay")


@router.post(
    "/models/{model}/runs",
    status_code=201,
    response_model=RunAnswer,
    dependencies=[may("run.write")],
)
def request_run(
    model: str,
    body: RetrainRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
) -> Response:
    """Ask for a retrain."""

    def act() -> RunAnswer:
        place = retraining.find_place(session, model, body.environment)
        return answer_of(
            retraining.request_retrain(
                session, place, options_of(body), lane=body.lane, actor=caller, now=now
            )
        )

    with writing() as session:
        return once.run(session, now, act, status=201)


@router.get("/runs", dependencies=[may("read")])
def list_runs(
    reading: Reading,
    listed: Listed,
    environment: str | None = None,
    state: RunState | None = None,
    before: Cursor = None,
    limit: Limit = 100,
) -> Page[RunAnswer]:
    """List runs, newest first, without their specifications."""
    with reading() as session:
        page = runs.list_runs(
            session,
            model=listed.model,
            environment=environment,
            state=state,
            before=before,
            limit=limit,
            names=listed.names,
        )
        waits = why_waiting(session, page.items)
    items = [
        answer_of(view, short=True, waits_for=waits.get(view.run.id or 0)) for view in page.items
    ]
    return Page(items=items, next=page.next)


@router.get("/runs/{number}", dependencies=[may("read")])
def show_run(number: Number, reading: Reading, caller: Caller) -> RunAnswer:
    """Show a run."""
    with reading() as session:
        view = _permitted(session, number, caller, "read")
        return answer_of(view, waits_for=why_waiting(session, [view]).get(number))


@router.get("/runs/{number}/log", dependencies=[may("read")])
def list_log(
    number: Number, reading: Reading, caller: Caller, after: After = 0
) -> Page[LineAnswer]:
    """List up to a thousand lines of a run's log beyond the line `after`."""
    with reading() as session:
        _permitted(session, number, caller, "read")
        found = runs.list_log(session, number, after=after)
    lines = [
        LineAnswer(number=line.id or 0, attempt=line.attempt, at=line.at, line=line.line)
        for line in found
    ]
    return Page(items=lines, next=str(lines[-1].number) if lines else None)


@router.post("/runs/{number}/cancel", response_model=RunAnswer, dependencies=[may("run.write")])
def cancel_run(
    number: Number,
    body: CancelRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
) -> Response:
    """End a queued or running run."""
    with writing() as session:
        _permitted(session, number, caller, "run.write")
        return once.run(
            session,
            now,
            lambda: answer_of(runs.cancel_run(session, number, body.reason, actor=caller, now=now)),
        )


@router.post("/runs/{number}/retry", response_model=RunAnswer, dependencies=[may("run.write")])
def retry_run(
    number: Number, writing: Writing, once: OncePerKey, caller: Caller, now: SharedNow
) -> Response:
    """Queue a failed, cancelled or dead run again."""
    with writing() as session:
        _permitted(session, number, caller, "run.write")
        return once.run(
            session, now, lambda: answer_of(runs.retry_run(session, number, actor=caller, now=now))
        )


def _permitted(session: ReadSession, number: int, caller: Actor, action: Action) -> RunView:
    """Return a run if the caller may do this to its model; else it is not there."""
    view = runs.get_run(session, number)
    permit(caller, action, view.model, unseen=RunNotFoundError(run_id=number))
    return view


def options_of(body: RetrainRequest) -> Options:
    """Return what a request says beside the policy."""
    said = body.model_dump(exclude_none=True)
    return Options(
        data={name: said[name] for name in DATA if name in said},
        retrain={name: said[name] for name in ("rounds", "seed", "params") if name in said},
        git=None if body.git is None else GitState(**body.git.model_dump()).to_json(),
        reason=body.reason,
        start_from=said.get("start_from"),
    )


def answer_of(view: RunView, *, short: bool = False, waits_for: str | None = None) -> RunAnswer:
    """Return a run as it is answered."""
    run = view.run
    same = run.model_dump(
        exclude={
            "id",
            "model_id",
            "firing_id",
            "policy_id",
            "decision_id",
            "granted_seconds",
            *(["specification"] if short else []),
        }
    )
    return RunAnswer(
        number=run.id or 0,
        model=view.model,
        firing=run.firing_id,
        policy=run.policy_id,
        decision=run.decision_id,
        verdict=view.verdict,
        costs=[cost_of(one) for one in view.costs],
        because=run.specification.get("lane_because"),
        waits_for=waits_for,
        **same,
    )
