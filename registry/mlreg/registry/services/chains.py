"""The chain of a version: from the full retrain that it goes back to, step by step, to itself.

What always holds: the chain ends at the first version that was not made statefully, or whose parent
is not there any more; parents have lower numbers than their children, so it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.domain.provenance import STATEFUL
from mlreg.registry.services import catalog

if TYPE_CHECKING:
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
