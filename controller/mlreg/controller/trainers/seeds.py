"""One seed of a run to the many seeds of its parts, each recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def derive_seeds(seed: int, names: Sequence[str]) -> dict[str, int]:
    """Return a seed of 31 bits for each name; it depends on the run's seed and the name alone."""
    return {name: _derive(seed, name) for name in names}


def step_seed(seed: int, lane: str, depth: int) -> int:
    """Return the seed of one step of a chain: a full retrain's is the run's own.

    Args:
        seed: the run's.
        lane: how it trains.
        depth: how many stateful steps lie between it and its full ancestor, itself included.
    """
    return seed if lane == "full" else _derive(seed, f"{lane}:{depth}")


def _derive(seed: int, name: str) -> int:
    of_name = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return int(np.random.SeedSequence([seed, of_name]).generate_state(1)[0]) & 0x7FFFFFFF
