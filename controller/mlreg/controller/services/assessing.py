"""What an assessor does: it judges the policies that it is asked to, until it is asked no more.

Lines of JSON come in, and each is answered with one: first where the database is, then one question
after the other (`assessor.py` is who asks).

What always holds: it writes only what the controller would have written, under the leadership that
came with the question; when the controller ends, however it does, there are no more questions.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.services.leadership import Fence, Leadership, LeadershipLostError
from mlreg.controller.services.policy_texts import kinds
from mlreg.controller.services.shares import judge_share
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


def assess(questions: TextIO, answers: TextIO) -> None:
    """Say that it is there, and then answer until the questions end."""
    where = json.loads(questions.readline())
    database = Database(where["url"], pool_size=1, idle_seconds=where["idle_seconds"])
    kinds()
    _say(answers, {"there": True})
    for line in questions:
        _say(answers, _answer(database, json.loads(line)))
    database.dispose()


def _answer(database: Database, asked: Mapping[str, Any]) -> dict[str, object]:
    fence = Fence(Leadership(asked["holder"], asked["epoch"]))
    try:
        done = judge_share(database, asked["ids"], datetime.fromisoformat(asked["now"]), fence)
    except LeadershipLostError:
        return {"lost": True}
    except DatabaseUnreachableError:
        return {"unreachable": True}
    return done.to_json()


def _say(answers: TextIO, words: Mapping[str, object]) -> None:
    answers.write(json.dumps(words) + "\n")
    answers.flush()
