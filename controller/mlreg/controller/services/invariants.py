"""Invariants: apply a file of them, show it, list what was declared before.

What always holds: applying the same text twice changes nothing; every change is one transaction
with its audit entry; the newest file of a model counts, and an empty list declares nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from mlreg.controller.domain.invariants.file import (
    InvalidInvariantsError,
    columns_of,
    read_invariants,
)
from mlreg.controller.domain.invariants.invariant import Invariant
from mlreg.controller.store import invariants as rows
from mlreg.controller.store.tables import InvariantSet
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.invariants.file import InvariantFile
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

CACHED_FILES = 256
PREFIX = "invariant:"
"""What the monitor of an invariant is called, before its name."""


class InvariantsNotFoundError(NotFoundError):
    """Nothing was declared for the model, or not under that number."""

    code = "invariants_not_found"
    hint = "`mlreg invariant apply -f FILE` declares some."

    def __init__(self, *, model: str, number: int | None) -> None:
        which = "" if number is None else f" {number}"
        super().__init__(f"no invariants{which} of model {model!r}")


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of a model's rows.

    Attributes:
        number: counts up with every change of the text.
        source: the YAML as it was applied.
    """

    model_id: int
    model: str
    number: int
    source: str
    invariants: tuple[Invariant, ...]
    created_at: datetime
    created_by: str


@lru_cache(maxsize=CACHED_FILES)
def parse_invariants(text: str) -> InvariantFile:
    """Return the invariants that a text declares.

    Raises:
        InvalidInvariantsError: with every problem, each with its line and key.
    """
    return read_invariants(text)


def apply_invariants(session: WriteSession, text: str, *, actor: Actor, now: datetime) -> Declared:
    """Declare invariants in place of those before, or leave the ones that say exactly this.

    Raises:
        InvalidInvariantsError: the text declares none that can be checked on this model's rows.
        ModelNotFoundError: the model that it names is not there.
    """
    file = parse_invariants(text)
    model = catalog.lock_model(session, file.model)
    _check(file, model)
    before = rows.find_set(session, catalog.id_of(model))
    if before is not None and before.source == text:
        return _declared(before, model)
    row = InvariantSet(
        model_id=catalog.id_of(model),
        number=1 if before is None else before.number + 1,
        source=text,
        body=[one.model_dump(mode="json") for one in file.invariants],
        created_at=now,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        action="invariants.apply",
        subject=f"model:{model.name}",
        actor=actor,
        body={"number": row.number, "invariants": row.body},
        now=now,
    )
    return _declared(row, model)


def get_invariants(session: ReadSession, model: Model, number: int | None = None) -> Declared:
    """Return what was declared under a number; by default what counts now.

    Raises:
        InvariantsNotFoundError: nothing was.
    """
    found = rows.find_set(session, catalog.id_of(model), number)
    if found is None:
        raise InvariantsNotFoundError(model=model.name, number=number)
    return _declared(found, model)


def find_invariants(session: ReadSession, model: Model) -> Declared | None:
    """Return what is declared of a model's rows now, None where nothing is."""
    found = rows.find_set(session, catalog.id_of(model))
    return None if found is None or not found.body else _declared(found, model)


def list_declared(
    session: ReadSession, model: Model, *, before: int | None = None, limit: int
) -> Sequence[Declared]:
    """Return what was declared for a model, the newest first, below a number if one is given."""
    found = rows.list_sets(session, catalog.id_of(model), before, limit)
    return [_declared(row, model) for row in found]


def _check(file: InvariantFile, model: Model) -> None:
    schema = catalog.feature_schema_of(model)
    if schema is None:
        where = file.yaml.at(("model",))
        problem = f"{where}: {model.name!r} declares no features; create it with --features"
        raise InvalidInvariantsError(problems=[problem])
    file.check_columns(columns_of(schema))


def _declared(row: InvariantSet, model: Model) -> Declared:
    return Declared(
        model_id=row.model_id,
        model=model.name,
        number=row.number,
        source=row.source,
        invariants=parse_invariants(row.source).invariants,
        created_at=row.created_at,
        created_by=row.created_by,
    )
