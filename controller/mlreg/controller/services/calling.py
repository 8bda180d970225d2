"""Calls of webhook triggers, and of a whole policy by hand.

```
NotFoundError
└── TriggerNotFoundError      the policy in force declares no such webhook
RefusedError
├── PolicyDisabledError       nothing would come of it
└── TooManyCallsError         the controller has not judged the earlier ones yet
InvalidError
├── NoReasonError             by hand, and without one
└── PayloadTooLargeError      it is kept as evidence, so it is to be small
```

What always holds: a call is written into the policy's memory under the lock of its row, in one
transaction with its audit entry, and judged once; the policy is looked at at the next beat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlreg.client.redaction import redact_mapping
from mlreg.controller.domain.memory import Call, PolicyMemory
from mlreg.controller.domain.triggers import BY_HAND, Event
from mlreg.controller.services.policies import get_policy
from mlreg.controller.store import policies as rows
from mlreg.controller.triggers.webhook import WebhookTrigger
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.services import audit

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import WriteSession

MAX_PAYLOAD_BYTES = 16_384
MAX_WAITING = 20


class TriggerNotFoundError(NotFoundError):
    """The policy in force declares no such webhook."""

    code = "trigger_not_found"

    def __init__(self, *, model: str, environment: str, name: str, declared: list[str]) -> None:
        there = f"it has {', '.join(declared)}" if declared else "it has none"
        message = f"the policy of {model!r} in {environment!r} has no webhook {name!r}; {there}"
        super().__init__(message)


class PolicyDisabledError(RefusedError):
    """The policy is disabled: nothing would come of a call."""

    code = "policy_disabled"
    hint = "`mlreg policy enable MODEL` lets it act again."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"the policy of {model!r} in {environment!r} is disabled")


class TooManyCallsError(RefusedError):
    """The controller has not judged the earlier calls yet."""

    code = "too_many_calls"
    hint = "Is a controller running? `mlreg policy show MODEL` says when it looks next."

    def __init__(self, *, waiting: int) -> None:
        super().__init__(f"{waiting} calls wait to be judged already; this one was not taken in")


class NoReasonError(InvalidError):
    """By hand, and without a reason."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__("firing a policy by hand needs a reason: it is kept with the firing")


class PayloadTooLargeError(InvalidError):
    """The payload is kept as evidence, so it is to be small."""

    code = "payload_too_large"

    def __init__(self, *, size: int) -> None:
        super().__init__(f"a payload of {size:,} bytes; at most {MAX_PAYLOAD_BYTES:,} are kept")


@dataclass(frozen=True, slots=True)
class Caller:
    """A call as it comes in: of which policy, of which trigger, with what."""

    model: str
    environment: str
    trigger: str
    payload: Mapping[str, Any]
    reason: str = ""


def call_trigger(session: WriteSession, call: Caller, *, actor: Actor, now: datetime) -> Call:
    """Take a call in, for the controller to judge at its next beat.

    Raises:
        ModelNotFoundError, PolicyNotFoundError, TriggerNotFoundError: there is none.
        PolicyDisabledError, TooManyCallsError: it would come to nothing, or is too much.
        NoReasonError, PayloadTooLargeError: what it says is too little, or too much.
    """
    found = get_policy(session, call.model, call.environment)
    _check(call, found.policy)
    state = rows.await_state(session, found.model_id, call.environment)
    if state is None or not state.enabled:
        raise PolicyDisabledError(model=call.model, environment=call.environment)
    memory = PolicyMemory.from_json(state.memory)
    if len(memory.calls) >= MAX_WAITING:
        raise TooManyCallsError(waiting=len(memory.calls))
    taken = Call(call.trigger, _event(call, memory.called + 1, actor, now))
    calls, called = (*memory.calls, taken), taken.event.serial
    state.memory = memory._replace(calls=calls, called=called).to_json()
    state.next_fire_at = now
    session.add(state)
    audit.record(
        session,
        action="policy.fire" if call.trigger == BY_HAND else "policy.call",
        subject=f"policy:{call.model}@{call.environment}",
        actor=actor,
        body={"trigger": call.trigger, "serial": called, **taken.event.evidence},
        now=now,
    )
    return taken


def _check(call: Caller, policy: Policy) -> None:
    size = len(json.dumps(dict(call.payload)))
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(size=size)
    if call.trigger == BY_HAND:
        if not call.reason.strip():
            raise NoReasonError
        return
    declared = [one.webhook for one in policy.triggers if isinstance(one, WebhookTrigger)]
    if call.trigger not in declared:
        raise TriggerNotFoundError(
            model=call.model, environment=call.environment, name=call.trigger, declared=declared
        )


def _event(call: Caller, serial: int, actor: Actor, now: datetime) -> Event:
    payload, _ = redact_mapping(call.payload)
    reason = {"reason": call.reason} if call.reason else {}
    verb = "fired by hand by" if call.trigger == BY_HAND else f"{call.trigger} called by"
    why = f": {call.reason}" if call.reason else ""
    evidence = {"by": actor.name, **reason, **({"payload": payload} if payload else {})}
    return Event(serial, now, f"{verb} {actor.name}{why}", evidence)
