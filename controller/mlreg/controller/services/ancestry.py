"""What a version was made from: its chain back to a full retrain, and until when that saw rows.

What always holds: the chain ends at the first version that was not made statefully, or whose parent
is not there any more; parents have lower numbers than their children, so it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.iterations import Ancestor, model_iteration
from mlreg.controller.services.run_folder import find_source
from mlreg.registry.domain.provenance import STATEFUL
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.policy import RetrainRule
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model, Version


def chain_of(session: ReadSession, model: Model, version: Version) -> list[Version]:
    """Return the versions from the full ancestor of a version down to itself."""
    chain = [version]
    while chain[-1].lane in STATEFUL and chain[-1].parent is not None:
        parent = catalog.find_version(session, model, chain[-1].parent)
        if parent is None or parent.number >= chain[-1].number:
            break
        chain.append(parent)
    return chain[::-1]


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
