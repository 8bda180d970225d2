"""What the triggers of a policy must have in common with the rest of it, and with what is there.

What always holds: asked when a policy is applied, or shown before; each problem names line and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.policy_rules import Complaint
from mlreg.controller.services.invariants import PREFIX, find_invariants
from mlreg.controller.store.business import is_posted
from mlreg.controller.store.upstream import list_followed, list_followers
from mlreg.controller.triggers.invariant import ANY, InvariantTrigger
from mlreg.controller.triggers.upstream import UpstreamTrigger
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Trigger
    from mlreg.controller.domain.upstream import Upstream
    from mlreg.controller.domain.yaml_file import Location
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

BUSINESS = "business:"


def trigger_complaints(
    session: ReadSession, policy: Policy, model: Model, actor: Actor
) -> Iterator[Complaint]:
    """Yield all that would keep a trigger from ever holding; who applies may read what it names."""
    yield from _of_combination(policy)
    yield from _of_names(policy)
    yield from _of_upstream(session, policy, model, actor)
    yield from _of_monitors(session, policy, model)


def trigger_advice(session: ReadSession, policy: Policy, model: Model) -> Iterator[Complaint]:
    """Yield which models that it follows follow it in turn: the promotes of each retrain the other.

    With `all` or `at_least` other triggers bound that, and else its cooldown and its budget.
    """
    if policy.combination.at_least > 1:
        return
    followers = list_followers(session, catalog.id_of(model), policy.environment)
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, UpstreamTrigger) and _is_of(trigger.followed, followers):
            yield Complaint(
                ("triggers", index, "upstream"),
                f"what comes of {trigger.followed.model!r} comes of {model.name!r} in turn: they"
                " retrain each other without end, as often as the cooldown lets them"
                f" ({spell_duration(policy.cooldown)})",
            )


def _is_of(followed: Upstream, deployments: frozenset[tuple[str, str]]) -> bool:
    if followed.what == "champion":
        return (followed.model, followed.environment) in deployments
    return followed.model in {name for name, _ in deployments}


def _of_combination(policy: Policy) -> Iterator[Complaint]:
    within, window = policy.combine.within, policy.data.window
    if within is not None and within < window:
        yield Complaint(
            ("combine", "within"),
            f"{spell_duration(within)} is shorter than a window ({spell_duration(window)}):"
            " what one window shows would be forgotten before the next",
        )
    if within is not None and policy.combination.at_least == 1:
        yield Complaint(("combine", "within"), "one trigger is enough, so none waits for another")


def _of_names(policy: Policy) -> Iterator[Complaint]:
    seen: set[str] = set()
    for index, trigger in enumerate(policy.triggers):
        if trigger.kind in {"webhook", "upstream"}:
            name = str(getattr(trigger, trigger.kind))
            if name in seen:
                place: Location = ("triggers", index, trigger.kind)
                yield Complaint(place, f"{name!r} is declared twice")
            seen.add(name)


def _of_upstream(
    session: ReadSession, policy: Policy, model: Model, actor: Actor
) -> Iterator[Complaint]:
    """Yield what cannot be followed.

    A model that the actor may not read is not there for it, unless it is followed already: who may
    change a policy may leave that as it is.
    """
    already = list_followed(session, catalog.id_of(model), policy.environment)
    for index, trigger in enumerate(policy.triggers):
        if not isinstance(trigger, UpstreamTrigger):
            continue
        followed, place = trigger.followed, ("triggers", index, "upstream")
        if followed.model == model.name:
            yield Complaint(place, "a model that follows itself would retrain without end")
            continue
        if str(followed) not in already and not actor.may("read", followed.model):
            yield Complaint(place, str(catalog.ModelNotFoundError(model=followed.model)))
            continue
        try:
            catalog.get_model(session, followed.model)
            if followed.what == "champion":
                catalog.check_environment(session, followed.environment)
        except (catalog.ModelNotFoundError, catalog.EnvironmentNotFoundError) as error:
            yield Complaint(place, str(error))


def _of_monitors(session: ReadSession, policy: Policy, model: Model) -> Iterator[Complaint]:
    declared = find_invariants(session, model)
    names = {one.name for one in declared.invariants} if declared else set()
    place = (catalog.id_of(model), policy.environment)
    for index, trigger in enumerate(policy.triggers):
        at: Location = ("triggers", index, trigger.kind)
        for problem in _undeclared(trigger, model, names):
            yield Complaint(at, problem)
        for posted in _named(trigger, BUSINESS):
            if posted not in policy.monitors.business and not is_posted(session, place, posted):
                yield Complaint(
                    at,
                    f"nothing was ever posted as {posted!r}: post it, or say under"
                    f" monitors.business how it is folded ({{{posted}: sum}})",
                )


def _undeclared(trigger: Trigger, model: Model, names: set[str]) -> Iterator[str]:
    """Yield which invariants a trigger watches that the model does not have."""
    if isinstance(trigger, InvariantTrigger) and trigger.invariant == ANY and not names:
        yield f"no invariant is declared for model {model.name!r}"
    there = f"there are {', '.join(sorted(names))}" if names else "it has none"
    for name in _named(trigger, PREFIX):
        if name not in names:
            yield f"model {model.name!r} has no invariant {name!r}; {there}"


def _named(trigger: Trigger, prefix: str) -> Iterator[str]:
    """Yield the names behind a prefix, of the monitors that a trigger watches."""
    for monitor in trigger.monitors:
        if monitor.startswith(prefix):
            yield monitor.removeprefix(prefix)
