"""How one says that something is in a state: it has failed, it was cancelled, it is dead."""

from __future__ import annotations

_VERBS = {"succeeded": "has", "failed": "has", "cancelled": "was"}


def became(state: str) -> str:
    """Return the words to put behind what is in that state: `run 3` and `has succeeded`."""
    return f"{_VERBS.get(state, 'is')} {state}"
