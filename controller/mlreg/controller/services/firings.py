"""Firings as they are shown: when triggers held, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.store import policies as rows

if TYPE_CHECKING:
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.controller.store.tables import Firing
    from mlreg.registry.store.database import ReadSession


def list_firings(
    session: ReadSession, found: PolicyInForce, *, before: int | None, limit: int
) -> list[tuple[Firing, int | None]]:
    """Return a page of a deployment's firings, newest first, each with the run that came of it."""
    firings = rows.list_firings(session, found.model_id, found.environment, limit, before)
    runs = rows.runs_of_firings(session, [one.id for one in firings if one.id is not None])
    return [(one, runs.get(one.id or 0)) for one in firings]
