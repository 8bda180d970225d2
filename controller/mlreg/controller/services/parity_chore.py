"""The chore that has a small sample of yesterday's predictions replayed, of every champion.

What always holds: it is once a day of real time, whatever business time does, so that advancing a
virtual clock costs nothing more; the replay itself is a job of each deployment. A command is run
when somebody asks for that: what one of its replays costs, nobody here knows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.windows import DAY, window_of
from mlreg.controller.services.chore import Chore
from mlreg.controller.services.parity import DAILY_ROWS, Asked, enqueue_parity
from mlreg.controller.services.run_folder import trainer_of
from mlreg.controller.store.installation import get_installation
from mlreg.controller.store.parity import list_logged_champions

if TYPE_CHECKING:
    from mlreg.controller.services.chore import ChoreRoom


def replay_yesterday(room: ChoreRoom) -> str:
    """Ask for the replays; say of how many deployments."""
    with room.database.reading() as session:
        now = get_installation(session).virtual_now or room.now
        champions = list_logged_champions(session, window_of(now - DAY, DAY))
        found = [
            (model_id, environment, version.number)
            for model_id, environment, version in champions
            if trainer_of(version)[0] not in {None, "command"}
        ]
    asked = 0
    for model_id, environment, version in found:
        daily = Asked(environment, rows=DAILY_ROWS, seed=now.toordinal(), daily=True)
        with room.database.writing() as session:
            asked += enqueue_parity(session, model_id, version, daily, now) is not None
    return f"{asked} champions are replayed"


PARITY = Chore("parity", timedelta(days=1), replay_yesterday)
