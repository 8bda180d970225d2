"""The end of a run that went well: its decision, and the promotion if that says so.

What always holds: decision, promotion, run and job are one transaction under the attempt's lease;
a verdict that is not `accepted` changes no deployment, nor does one that was reached against
another revision than the present.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.services import decisions
from mlreg.controller.services.costing import record_attempt
from mlreg.controller.services.judging_run import Judged
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.recording import lock_before_audit, record_judged
from mlreg.controller.services.run_events import tell_of_run
from mlreg.controller.services.run_work import locked_run
from mlreg.controller.services.snapshots import Snapshot
from mlreg.controller.store import runs as rows
from mlreg.registry.domain.approvals import ApprovalRequiredError
from mlreg.registry.domain.errors import IntegrityError, RefusedError
from mlreg.registry.services import approvals, deployments
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.run_work import RunWork
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Decision

MAX_REASON = 1_000
RECALL = "recall"
"""The lane of a run that trained nothing: an older version was what it wanted."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to: a version, the judgement of it, and the rows of that.

    Attributes:
        is_new: whether the run trained it; else it was there before.
    """

    version: int
    judged: Judged
    snapshot: Snapshot | None
    is_new: bool = True


def conclude(work: RunWork, result: RunResult) -> None:
    """Record the decision, promote if it says so, and end run and job, all at once."""
    judgement = result.judged.judgement
    work.log.say(f"{judgement['verdict']}: {judgement.get('reason', '')}")
    now = work.attempt.clock.now()
    with work.attempt.finish() as session:
        run = locked_run(session, work.run_id)
        if not result.is_new:
            run.version, run.lane, run.train_seconds = result.version, RECALL, 0.0
        record_attempt(session, run, work.attempt.lease.job_id)
        decision = _record(session, work, run, result, now)
        said = _promote_if_accepted(session, work, run, decision, result.judged, now)
        rows.add_lines(session, work.run_id, run.attempt, [said], now)
        run.state, run.decision_id, run.ended_at = "succeeded", decision.id, now
        session.add(run)
        tell_of_run(session, run, work.model.name, now)
        work.attempt.outcome = {"decision_id": decision.id, "verdict": decision.verdict}
        failpoint("run_promoted")


def _record(
    session: WriteSession,
    work: RunWork,
    run: Run,
    result: RunResult,
    now: datetime,
) -> Decision:
    judged = result.judged
    lock_before_audit(session, work.model, run.environment)
    return record_judged(
        session,
        judged,
        decisions.JudgedPair(
            model=work.model,
            environment=run.environment,
            challenger=result.version,
            champion=judged.rivals.champion,
            anchor=judged.rivals.anchor,
            snapshot=None if result.snapshot is None else result.snapshot.digest,
            run_id=work.run_id,
        ),
        actor=work.actor,
        now=now,
    )


def _promote_if_accepted(
    session: WriteSession,
    work: RunWork,
    run: Run,
    decision: Decision,
    judged: Judged,
    now: datetime,
) -> str:
    """Promote what may be promoted; return in one line what was done, or why nothing was."""
    held = _why_held(session, work, run, decision)
    if held is not None:
        return f"not promoted: {held}"
    change = deployments.Change(
        model=work.model.name,
        environment=run.environment,
        actor=work.actor,
        reason=f"run {work.run_id}: {judged.judgement.get('reason', '')}"[:MAX_REASON],
        expected=judged.rivals.revision,
    )
    try:
        with session.begin_nested():
            promoted = deployments.promote(
                session,
                change,
                version=decision.challenger,
                decision_id=decision.id,
                cause="policy",
                now=now,
            )
    except ApprovalRequiredError as error:
        approvals.request(session, change, version=decision.challenger, cause="policy", now=now)
        return f"waits to be promoted: {error}. {error.hint}"
    except (RefusedError, IntegrityError) as error:
        return f"not promoted: {error}"
    return f"promoted: version {decision.challenger} is champion since revision {promoted.revision}"


def _why_held(session: ReadSession, work: RunWork, run: Run, decision: Decision) -> str | None:
    if decision.verdict != "accepted":
        return f"the verdict is {decision.verdict}"
    if not work.specification.auto_promote:
        return "this run leaves it to people (`mlreg promote`)"
    if policy_in_force(session, run.model_id, run.environment) is None:
        return "the policy is disabled"
    return None
