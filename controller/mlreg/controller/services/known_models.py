"""The models that rows are logged to, known to this process for a second.

What always holds: a batch that a known model would refuse is judged again by the model as it is
now, so that a version registered this moment may be named; a change of a model, or its deletion, is
known to the log within a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from mlreg.controller.domain.batches import InvalidRowsError
from mlreg.registry.services.catalog import get_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlreg.registry.store.database import Database
    from mlreg.registry.store.tables import Model

KNOWN_SECONDS = 1.0
CAPACITY = 10_000
T = TypeVar("T")


class KnownModels:
    """Models by name, as they were at most a second ago; for any thread."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Model]] = {}

    def get(self, name: str) -> Model:
        """Return a model.

        Raises:
            ModelNotFoundError: there is none of that name.
        """
        known = self._known.get(name)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        return self.get_now(name)

    def get_now(self, name: str) -> Model:
        """Return a model as it is in the database; errors as above."""
        until = self._monotonic() + KNOWN_SECONDS
        with self._database.reading() as session:
            model = get_model(session, name)
        if len(self._known) >= CAPACITY:
            self._known.clear()
        self._known[name] = (until, model)
        return model

    def judge(self, name: str, check: Callable[[Model], T]) -> tuple[Model, T]:
        """Return a model and what `check` says of it; a refusal only by the model as it is now.

        Raises:
            ModelNotFoundError: there is no such model.
            InvalidRowsError: `check` refused.
        """
        model = self.get(name)
        try:
            return model, check(model)
        except InvalidRowsError:
            model = self.get_now(name)
            return model, check(model)
