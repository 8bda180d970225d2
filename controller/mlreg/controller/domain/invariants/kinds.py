"""The kinds of invariants, by the key that names them in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.invariants.bounds import Bounds
from mlreg.controller.domain.invariants.mean import Mean
from mlreg.controller.domain.invariants.members import Members
from mlreg.controller.domain.invariants.monotone import Monotone
from mlreg.controller.domain.invariants.not_null import NotNull
from mlreg.controller.domain.invariants.pattern import Pattern
from mlreg.controller.domain.invariants.relation import Relation
from mlreg.controller.domain.invariants.unique import Unique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.invariants.invariant import Invariant

OURS: tuple[type[Invariant], ...] = (
    NotNull,
    Bounds,
    Mean,
    Pattern,
    Members,
    Unique,
    Monotone,
    Relation,
)
KINDS: Mapping[str, type[Invariant]] = {one.kind: one for one in OURS}
