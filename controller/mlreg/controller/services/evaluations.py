"""Evaluations: a version judged against the champion because somebody asked, not after a run.

What always holds: it is a job, and its outcome names the decision; it changes no deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services import decisions, draining, jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.judging_run import (
    ChampionOnTrialError,
    Question,
    find_rivals,
    judge_challenger,
)
from mlreg.controller.services.recording import lock_before_audit, record_judged
from mlreg.controller.services.run_folder import get_source, open_folder
from mlreg.controller.services.selecting import freeze_window, judged_window
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.services.snapshots import Snapshot
    from mlreg.registry.store.database import ReadSession, WriteSession

KIND = "evaluate"
PRIORITY = 80


class EvaluationNotFoundError(NotFoundError):
    """There is no evaluation of that number."""

    code = "evaluation_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no evaluation {number}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation that was asked for, and what became of it."""

    number: int
    model_id: int
    state: str
    error: str | None
    decision_id: int | None


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Which version is to be judged where, on which rows and by which gates."""

    model: Model
    environment: str
    version: int
    specification: RunSpecification


def request_evaluation(
    session: WriteSession, request: EvaluationRequest, *, actor: Actor, now: datetime
) -> int:
    """Ask for a version to be judged; return the number of the evaluation.

    Raises:
        EnvironmentNotFoundError, VersionNotFoundError: it is not there.
        ChampionOnTrialError: it is the champion.
        NotLoadableError: it has no LightGBM text model, or no feature contract.
    """
    model, environment, version = request.model, request.environment, request.version
    catalog.check_environment(session, environment)
    get_source(session, catalog.get_version(session, model, version))
    if find_rivals(session, model, environment).champion == version:
        raise ChampionOnTrialError(model=model.name, number=version, environment=environment)
    number = jobs.enqueue(
        session,
        kind=KIND,
        payload={
            "model_id": catalog.id_of(model),
            "environment": environment,
            "version": version,
            "specification": request.specification.to_json(),
            "asked_at": now.isoformat(),
            "actor": actor.name,
        },
        lock_key=f"{KIND}:{model.id}",
        priority=PRIORITY,
    )
    audit.record(
        session,
        action="evaluation.request",
        subject=f"version:{model.name}/{version}",
        actor=actor,
        body={"evaluation": number, "environment": environment},
        now=now,
    )
    return number or 0


def get_evaluation(session: ReadSession, number: int) -> Evaluation:
    """Return an evaluation.

    Raises:
        EvaluationNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise EvaluationNotFoundError(number=number)
    decision_id = (job.outcome or {}).get("decision_id")
    return Evaluation(number, job.payload["model_id"], job.state, job.error, decision_id)


@dataclass(frozen=True, slots=True)
class _Asked:
    model: Model
    environment: str
    version: int
    specification: RunSpecification
    asked_at: datetime
    actor: Actor


def perform(attempt: Attempt) -> None:
    """Judge the version that the job names, and record the decision."""
    with attempt.database.reading() as session:
        asked = _asked(session, dict(attempt.lease.payload))
    draining.drain_model(
        attempt.database, attempt.store, catalog.id_of(asked.model), now=attempt.clock.now()
    )
    snapshot = _freeze(attempt, asked)
    question = Question(
        model=asked.model,
        environment=asked.environment,
        challenger=asked.version,
        snapshot=snapshot,
        gates=asked.specification.gates,
        trainer=asked.specification.retrain.trainer,
        seed=asked.specification.retrain.seed,
    )
    with open_folder(attempt, f"evaluation-{attempt.lease.job_id}") as folder:
        judged = judge_challenger(attempt, folder, question)
    pair = decisions.JudgedPair(
        model=asked.model,
        environment=asked.environment,
        challenger=asked.version,
        champion=judged.rivals.champion,
        anchor=judged.rivals.anchor,
        snapshot=None if snapshot is None else snapshot.digest,
    )
    now = attempt.clock.now()
    with attempt.finish() as session:
        lock_before_audit(session, asked.model, asked.environment)
        decision = record_judged(session, judged, pair, actor=asked.actor, now=now)
        attempt.outcome = {"decision_id": decision.id, "verdict": decision.verdict}


def _asked(session: ReadSession, payload: dict[str, Any]) -> _Asked:
    return _Asked(
        model=model_of(session, payload["model_id"]),
        environment=payload["environment"],
        version=payload["version"],
        specification=RunSpecification.read(payload["specification"], "an evaluation"),
        asked_at=datetime.fromisoformat(payload["asked_at"]),
        actor=Actor(name=cast("str", payload["actor"]), kind="service", role="controller"),
    )


def _freeze(attempt: Attempt, asked: _Asked) -> Snapshot | None:
    """Freeze the rows to judge on, after those that any of the models was trained on."""
    now, parts, model = attempt.clock.now(), attempt.sources, asked.model
    with attempt.database.reading() as session:
        rivals = find_rivals(session, model, asked.environment)
        numbers = [asked.version, *rivals.roles.values()]
        windows = asked.specification.windows(asked.asked_at)
        window = judged_window(session, model, numbers, windows.evaluate)
    if window is None:
        return None
    source = freeze_source(parts, model, asked.specification.data, window, now=now)
    with attempt.effect() as session:
        return freeze_window(
            session,
            model,
            window,
            asked.asked_at,
            source=source,
            parts=parts,
            actor=asked.actor,
            now=now,
        )


HANDLER = Handler(perform, alert_if_dead)
