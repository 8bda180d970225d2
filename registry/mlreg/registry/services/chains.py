"""The chain of a version: from the full retrain that it goes back to, step by step, to itself.

What always holds: the chain ends at the first version that was not made statefully, or whose parent
was never here; one that was deleted is part of it, for what came of it has seen its rows. Parents
have lower numbers than their children, so it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.domain.provenance import STATEFUL
from mlreg.registry.services import catalog
from mlreg.registry.store.versions import find_any_version_row

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model, Version


def chain_of(session: ReadSession, model: Model, version: Version) -> list[Version]:
    """Return the versions from the full ancestor of a version down to itself."""
    chain = [version]
    while chain[-1].lane in STATEFUL and chain[-1].parent is not None:
        parent = find_any_version_row(session, catalog.id_of(model), chain[-1].parent)
        if parent is None or parent.number >= chain[-1].number:
            break
        chain.append(parent)
    return chain[::-1]
