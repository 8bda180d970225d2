"""What applying a policy would change and do, without applying it.

What always holds: nothing is written; a text that could not be applied is refused here with the
same error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.lanes import Lane
from mlreg.controller.domain.policy_diff import Change, diff
from mlreg.controller.domain.rehearsal import Rehearsal
from mlreg.controller.domain.triggers import Trigger, View, names_of
from mlreg.controller.domain.windows import window_of
from mlreg.controller.services import policies
from mlreg.controller.services.choosing_lane import next_lane_of
from mlreg.controller.services.policies import PolicyInForce
from mlreg.controller.services.policy_checks import advise, known_of
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.rehearsing import rehearse_policy, usual_run_seconds
from mlreg.controller.services.trigger_checks import trigger_advice
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.policy import Policy
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession

SHOWN_DUE = 3


@dataclass(frozen=True, slots=True)
class Due:
    """When a trigger is judged next.

    Attributes:
        at: none for one that waits for events.
        own: whether these are its own due times; else windows close then.
    """

    trigger: str
    at: Sequence[datetime]
    own: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What applying a policy would change and do.

    Attributes:
        before: the policy in force; None: there is none.
        proposed: as it would be in force, with the number it would have.
        warnings: what it is not refused for, each with line and key.
        run_seconds: what a run usually trains here; None: none has ended.
        left_out: the triggers that the rehearsal cannot tell of: they wait for events.
    """

    before: PolicyInForce | None
    proposed: PolicyInForce
    changes: Sequence[Change]
    warnings: Sequence[str]
    due: Sequence[Due]
    next_lane: Lane
    rehearsal: Rehearsal
    run_seconds: float | None
    left_out: Sequence[str] = ()


def preview_policy(session: ReadSession, text: str, *, actor: Actor, now: datetime) -> Preview:
    """Return what applying this text would change and do.

    Raises:
        InvalidPolicyError: the text declares no policy for this model.
        ModelNotFoundError, EnvironmentNotFoundError: what it names is not there.
    """
    declared = parse_policy(text)
    model = catalog.get_model(session, declared.model)
    policy = policies.checked_policy(session, text, model, actor, now)
    before = policies.find_policy(session, model, policy.environment)
    proposed = _proposed(before, catalog.id_of(model), policy, text, actor=actor, now=now)
    seconds = usual_run_seconds(session, (proposed.model_id, policy.environment))
    known = known_of(session, model, policy.environment, now)
    of_triggers = trigger_advice(session, policy, model)
    return Preview(
        before=before,
        proposed=proposed,
        changes=diff(None if before is None else before.policy.to_json(), policy.to_json()),
        warnings=[
            *advise(text, policy, model, known, now, of_triggers),
            *_too_dear(policy, seconds),
        ],
        due=[_due(name, trigger, policy, now) for name, trigger in _named(policy)],
        next_lane=next_lane_of(session, proposed, now),
        rehearsal=rehearse_policy(session, proposed, before, now),
        run_seconds=seconds,
        left_out=[name for name, trigger in _named(policy) if _waits_for_events(trigger, now)],
    )


def _proposed(
    before: PolicyInForce | None,
    model_id: int,
    policy: Policy,
    text: str,
    *,
    actor: Actor,
    now: datetime,
) -> PolicyInForce:
    return PolicyInForce(
        policy_id=0,
        number=1 if before is None else before.number + (before.source != text),
        model_id=model_id,
        model=policy.model,
        environment=policy.environment,
        enabled=before is None or before.enabled,
        policy=policy,
        source=text,
        git=None,
        created_at=now,
        created_by=actor.name,
    )


def _named(policy: Policy) -> Iterator[tuple[str, Trigger]]:
    return zip(names_of(policy.triggers), policy.triggers, strict=True)


def _waits_for_events(trigger: Trigger, now: datetime) -> bool:
    return trigger.need(View(now=now, previous=now)).events is not None


def _due(name: str, trigger: Trigger, policy: Policy, now: datetime) -> Due:
    moments = [now]
    while len(moments) <= SHOWN_DUE and (due := trigger.next_due(moments[-1])) is not None:
        moments.append(due)
    if len(moments) > 1:
        return Due(name, moments[1:], own=True)
    if _waits_for_events(trigger, now):
        return Due(name, (), own=True)
    end, width = window_of(now, policy.data.window).end, policy.data.window
    return Due(name, [end + number * width for number in range(SHOWN_DUE)], own=False)


def _too_dear(policy: Policy, seconds: float | None) -> Iterator[str]:
    """Yield the bounds that the usual run alone is beyond."""
    bounds = {
        key: bound
        for key in ("train_seconds_per_day", "train_seconds_per_week")
        if (bound := getattr(policy.budget, key, None)) is not None
    }
    for key, bound in bounds.items():
        if seconds is not None and seconds > bound:
            yield f"budget.{key}: a run usually trains {seconds:.0f} s here, more than {bound:g}"
