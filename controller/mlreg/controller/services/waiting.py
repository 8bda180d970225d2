"""Why queued runs do not start, as far as it is for want of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.stranded import Wanted
from mlreg.controller.services.runs import job_key
from mlreg.controller.services.stranding import find_obstacles
from mlreg.controller.store import members as rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.services.runs import RunView
    from mlreg.registry.store.database import ReadSession


def why_waiting(session: ReadSession, views: Sequence[RunView]) -> Mapping[int, str]:
    """Return, by run, why no worker takes it; nothing of those that one takes in its turn."""
    keys = {job_key(view.run.id or 0): view.run.id or 0 for view in views if _is_queued(view)}
    if not keys:
        return {}
    found = rows.queued_jobs(session, list(keys))
    wanted = [Wanted(one["id"], one["kind"], one["label"]) for one in found]
    obstacles = find_obstacles(session, wanted)
    runs = {one["id"]: keys[one["dedupe_key"]] for one in found}
    return {runs[job_id]: why for job_id, why in obstacles.items()}


def _is_queued(view: RunView) -> bool:
    return view.run.state == "queued"
