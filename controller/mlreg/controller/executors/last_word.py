"""The last word of a program on a cluster: one line of its log that says how its task ended.

What always holds: the line begins with a word that only who started the program knows, so nothing
that a training prints is taken for it; what is no such line is printed as it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mlreg.controller.executors.executor import ChildResult


@dataclass(frozen=True, slots=True)
class LastWord:
    """How a task ended far away.

    Attributes:
        ended: how its child did; None where it was never started.
        result: the digest of the manifest of its files; None where it left none.
        problem: why there is no child or no result.
    """

    ended: ChildResult | None
    result: str | None = None
    problem: str | None = None


def spell(secret: str, word: LastWord) -> str:
    """Return the line."""
    return f"#{secret} {json.dumps(asdict(word))}"


def find_last_word(secret: str, lines: list[str]) -> tuple[list[str], LastWord | None]:
    """Return the lines that are the task's own, and the last word if it is among them."""
    mark = f"#{secret} "
    own = [line for line in lines if not line.startswith(mark)]
    for line in lines:
        if line.startswith(mark):
            return own, _read(line.removeprefix(mark))
    return own, None


def _read(text: str) -> LastWord | None:
    """Return the word; None where the log broke it."""
    try:
        form = json.loads(text)
        ended = None if form["ended"] is None else ChildResult(**form["ended"])
        return LastWord(ended, form["result"], form["problem"])
    except (ValueError, KeyError, TypeError):
        return None
