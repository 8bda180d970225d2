"""What a version was made from: until when its chain saw rows, and whether it can be continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.iterations import Ancestor, model_iteration
from mlreg.controller.services.run_folder import find_source
from mlreg.registry.services import catalog
from mlreg.registry.services.chains import chain_of

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.policy import RetrainRule
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model, Version


def trained_until(session: ReadSession, model: Model, version: Version) -> datetime | None:
    """Return the end of the newest rows that a version, or one that it was made from, has seen."""
    ends = [one.train_end for one in chain_of(session, model, version)]
    return max((end for end in ends if end is not None), default=None)


def iteration_of(
    session: ReadSession, model: Model, rule: RetrainRule, version: Version
) -> str | None:
    """Say why a version cannot be continued by this rule; None when it can."""
    source = find_source(session, version)
    if source is None:
        return f"version {version.number} is nothing that can be continued"
    objective = (version.hyperparameters or {}).get("objective")
    ancestor = Ancestor(
        source.contract,
        source.trainer,
        source.command,
        objective if isinstance(objective, str) else None,
    )
    target = catalog.target_contract_of(model)
    return model_iteration(rule, target.task, catalog.feature_schema_of(model), ancestor)
