"""Policies: apply, show, enable, disable; and what is in force.

What always holds: applying the same text twice changes nothing; every change is one transaction
with its audit entry; the newest policy of a deployment is the one in force while it is enabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.policy import Policy
from mlreg.controller.services import jobs
from mlreg.controller.services.policy_checks import check_policy, known_of
from mlreg.controller.services.policy_state import point_at
from mlreg.controller.services.policy_texts import complete, parse_policy, written_policy
from mlreg.controller.services.trigger_checks import trigger_complaints
from mlreg.controller.store import policies as rows
from mlreg.controller.store.tables import Policy as PolicyRow
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import approvals, audit, catalog

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model


class PolicyNotFoundError(NotFoundError):
    """The deployment has no policy."""

    code = "policy_not_found"
    hint = "`mlreg policy apply -f FILE` declares one."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"no policy for model {model!r} in {environment!r}")


class PolicyVersionNotFoundError(NotFoundError):
    """The policy of a deployment has no version of this number."""

    code = "policy_version_not_found"
    hint = "`mlreg policy history MODEL` lists them."

    def __init__(self, *, model: str, environment: str, number: int) -> None:
        super().__init__(f"model {model!r} has no policy {number} in {environment!r}")


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The newest policy of a deployment.

    Attributes:
        policy_id: the key of this very version of the policy.
        number: counts up with every change of the text.
        git: what `policy apply` captured from the working tree; runs inherit it.
        source: the YAML as it was applied.
    """

    policy_id: int
    number: int
    model_id: int
    model: str
    environment: str
    enabled: bool
    policy: Policy
    source: str
    git: Mapping[str, Any] | None
    created_at: datetime
    created_by: str

    @property
    def actor(self) -> Actor:
        """The hand behind what this policy does."""
        return Actor(name=f"policy:{self.model}/{self.number}", kind="policy", role="controller")


def apply_policy(
    session: WriteSession,
    text: str,
    *,
    git: Mapping[str, Any] | None,
    actor: Actor,
    now: datetime,
    reverts_to: int | None = None,
) -> PolicyInForce:
    """Put a policy in force, or leave the one that says exactly this.

    Args:
        session: the transaction of the caller.
        text: the YAML.
        git: the commit that its runs inherit.
        actor: by whose hand.
        now: business time.
        reverts_to: the version whose text this is, where one is put in force again.

    Raises:
        InvalidPolicyError: the text declares no policy for this model.
        ModelNotFoundError, EnvironmentNotFoundError: what it names is not there.
    """
    declared = parse_policy(text)
    model = catalog.lock_model(session, declared.model)
    policy = checked_policy(session, text, model, actor, now)
    before = rows.newest_policy(session, catalog.id_of(model), policy.environment)
    if before is not None and before.source == text:
        return get_policy(session, model.name, policy.environment)
    row = PolicyRow(
        model_id=catalog.id_of(model),
        environment=policy.environment,
        number=1 if before is None else before.number + 1,
        source=text,
        body=policy.to_json(),
        git=None if git is None else dict(git),
        created_at=now,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    point_at(session, row, policy, now, None if before is None else before.body)
    if before is not None and before.body.get("budget") != row.body.get("budget"):
        jobs.free_held(session, row.model_id)
    body = {"number": row.number, "policy": row.body, "git": row.git}
    if reverts_to is not None:
        body["reverts_to"] = reverts_to
    _record(session, "policy.apply", policy, actor, body, now)
    return get_policy(session, model.name, policy.environment)


def checked_policy(
    session: ReadSession, text: str, model: Model, actor: Actor, now: datetime
) -> Policy:
    """Return the policy of a text with the defaults of its model.

    Args:
        session: reads.
        text: the YAML.
        model: whose policy it is.
        actor: who wants it; other models that it names exist only if this one may read them.
        now: business time.

    Raises:
        InvalidPolicyError: the text declares no policy for this model.
        EnvironmentNotFoundError: what it names is not there.
    """
    declared = parse_policy(text)
    catalog.check_environment(session, declared.environment)
    policy = complete(declared, model)
    known = known_of(session, model, policy.environment, now)
    of_triggers = trigger_complaints(session, policy, model, actor)
    check_policy(text, policy, model, known, of_triggers)
    return policy


def revert_policy(
    session: WriteSession,
    model_name: str,
    environment: str,
    number: int,
    *,
    actor: Actor,
    now: datetime,
) -> PolicyInForce:
    """Put the text of an earlier version in force again, as a new version, by the rules of today.

    Raises:
        ModelNotFoundError, PolicyVersionNotFoundError: there is none.
        InvalidPolicyError: it could not be applied any more.
    """
    found = get_version(session, model_name, environment, number)
    return apply_policy(
        session, found.source, git=found.git, actor=actor, now=now, reverts_to=number
    )


def set_enabled(
    session: WriteSession,
    model_name: str,
    environment: str,
    *,
    enabled: bool,
    actor: Actor,
    now: datetime,
) -> PolicyInForce:
    """Enable or disable the automation of a deployment; repeating it changes nothing.

    What falls due while it is disabled is never caught up. What a disabled policy wanted promoted
    waits for approvals no longer.

    Raises:
        ModelNotFoundError, PolicyNotFoundError: there is none.
    """
    found = get_policy(session, model_name, environment)
    state = rows.await_state(session, found.model_id, environment)
    if state is None or state.enabled == enabled:
        return found
    memory = PolicyMemory.from_json(state.memory)
    state.memory = (memory.resumed(now) if enabled else memory.stopped(now)).to_json()
    state.enabled, state.next_fire_at = enabled, now
    session.add(state)
    if not enabled:
        approvals.drop_waiting(session, model_name, environment, cause="policy", now=now)
    action = "policy.enable" if enabled else "policy.disable"
    _record(session, action, found.policy, actor, {"number": found.number}, now)
    return get_policy(session, model_name, environment)


def get_policy(session: ReadSession, model_name: str, environment: str) -> PolicyInForce:
    """Return the newest policy of a deployment, enabled or not.

    Raises:
        ModelNotFoundError, PolicyNotFoundError: there is none.
    """
    model = catalog.get_model(session, model_name)
    found = find_policy(session, model, environment)
    if found is None:
        raise PolicyNotFoundError(model=model_name, environment=environment)
    return found


def get_version(
    session: ReadSession, model_name: str, environment: str, number: int
) -> PolicyInForce:
    """Return one version of a deployment's policy, the newest or not.

    Raises:
        ModelNotFoundError, PolicyVersionNotFoundError: there is none.
    """
    model = catalog.get_model(session, model_name)
    row = rows.find_policy(session, catalog.id_of(model), environment, number)
    if row is None:
        raise PolicyVersionNotFoundError(model=model_name, environment=environment, number=number)
    return _in_force(session, model, row)


def list_versions(
    session: ReadSession, model_name: str, environment: str, *, before: int | None, limit: int
) -> list[PolicyInForce]:
    """Return a page of the versions of a deployment's policy, newest first.

    Raises:
        ModelNotFoundError: there is none.
    """
    model = catalog.get_model(session, model_name)
    place = (catalog.id_of(model), environment)
    found = rows.list_policies(session, *place, before=before, limit=limit)
    return [_in_force(session, model, row) for row in found]


def policy_in_force(session: ReadSession, model_id: int, environment: str) -> PolicyInForce | None:
    """Return the newest policy of a deployment if it is enabled, else None."""
    found = find_policy(session, rows.model_of(session, model_id), environment)
    return found if found is not None and found.enabled else None


def policy_of(session: ReadSession, policy_id: int) -> PolicyInForce:
    """Return the very policy that fired, newest or not; its id comes from a firing or a run."""
    row = session.get_one(PolicyRow, policy_id)
    return _in_force(session, rows.model_of(session, row.model_id), row)


def find_policy(session: ReadSession, model: Model, environment: str) -> PolicyInForce | None:
    """Return the newest policy of a deployment, enabled or not; None: there is none."""
    row = rows.newest_policy(session, catalog.id_of(model), environment)
    return None if row is None else _in_force(session, model, row)


def _in_force(session: ReadSession, model: Model, row: PolicyRow) -> PolicyInForce:
    state = rows.find_state(session, row.model_id, row.environment)
    return PolicyInForce(
        policy_id=row.id or 0,
        number=row.number,
        model_id=row.model_id,
        model=model.name,
        environment=row.environment,
        enabled=state is None or state.enabled,
        policy=written_policy(row.body),
        source=row.source,
        git=row.git,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _record(
    session: WriteSession,
    action: str,
    policy: Policy,
    actor: Actor,
    body: Mapping[str, object],
    now: datetime,
) -> None:
    subject = f"policy:{policy.model}@{policy.environment}"
    audit.record(session, action=action, subject=subject, actor=actor, body=body, now=now)
