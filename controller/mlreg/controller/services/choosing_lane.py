"""The lane of the next run of a policy: what is known of the past, put to the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.lanes import (
    Lane,
    LaneChoice,
    LaneSituation,
    explain_lane,
    trees_per_round,
)
from mlreg.controller.services.ancestry import iteration_of
from mlreg.controller.store import policies as rows
from mlreg.controller.store.runs import stateful_runs
from mlreg.controller.store.serving import find_serving
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.controller.store.serving import Serving
    from mlreg.registry.store.database import ReadSession


def next_lane_of(session: ReadSession, in_force: PolicyInForce, now: datetime) -> Lane:
    """Return the lane that a run of this policy would take now."""
    serving = find_serving(session, in_force.model_id, in_force.environment)
    return next_choice(session, in_force, serving, now).lane


def next_choice(
    session: ReadSession, in_force: PolicyInForce, serving: Serving | None, now: datetime
) -> LaneChoice:
    """Return the lane that the policy's next run takes, and why."""
    last = rows.last_lane_runs(session, in_force.model_id, in_force.environment)
    ages = {lane: now - moment for lane, moment in last.items()}
    if serving is not None and "full" not in ages:
        ages["full"] = now - serving.created_at
    lanes = in_force.policy.retrain.lanes
    return explain_lane(lanes, _situation(session, in_force, serving, ages))


def _situation(
    session: ReadSession,
    in_force: PolicyInForce,
    serving: Serving | None,
    ages: Mapping[str, timedelta],
) -> LaneSituation:
    champion = None
    if serving is not None:
        champion = session.get(Version, (in_force.model_id, serving.champion))
    if champion is None or champion.feature_contract is None:
        return LaneSituation(ages, has_parent=False)  # type: ignore[arg-type]
    trees = (champion.hyperparameters or {}).get("trees")
    model = rows.model_of(session, in_force.model_id)
    place = (in_force.model_id, in_force.environment)
    return LaneSituation(
        ages=ages,  # type: ignore[arg-type]
        has_parent=True,
        trees=trees if isinstance(trees, int) else None,
        contract_changed=iteration_of(session, model, in_force.policy.retrain, champion),
        stateful_runs=stateful_runs(session, *place),
        trees_per_round=trees_per_round(catalog.target_contract_of(model)),
    )
