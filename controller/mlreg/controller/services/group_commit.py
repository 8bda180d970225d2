"""Group commit: small requests to the log wait for each other, and share one check and one write.

```
UnavailableError
└── LogBusyError    more requests wait than the log takes; nothing of this one was kept
```

What always holds: a request is answered only when its rows are durable, or refused; nobody waits
for a timer, for whatever came while the last group was written is the next one; how many requests
and bytes wait is bounded, and who comes beyond that is told to come again. One thread writes; it
starts with the first request, and ends with its process.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlreg.client.edge import Edge
from mlreg.controller.domain.batches import InvalidRowsError, Kind
from mlreg.controller.services.small_batches import (
    Outcome,
    SmallBody,
    check_together,
    keep_together,
)
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlreg.controller.services.known_models import KnownModels
    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database

MAX_GROUP = 512
MAX_WAITING = 4_096
MAX_WAITING_BYTES = 32 * 2**20
RETRY_AFTER_SECONDS = 1

Answered: TypeAlias = "Sequence[tuple[SmallRequest, Outcome | Exception]]"


class LogBusyError(UnavailableError):
    """More small requests wait than the log takes; nothing of this one was kept."""

    code = "log_busy"
    hint = "Send it again in a second, or send larger batches."
    retry_after_seconds = RETRY_AFTER_SECONDS

    def __init__(self, *, waiting: int) -> None:
        super().__init__(f"{waiting} requests to the feedback log wait to be written")


@dataclass(frozen=True, slots=True, eq=False)
class SmallRequest:
    """A small batch of a model, and whoever waits for its outcome (`asker` is passed back)."""

    model: str
    kind: Kind
    body: SmallBody
    asker: object = None


class GroupCommit:
    """Takes small requests from any thread, and answers them a group at a time."""

    def __init__(
        self,
        database: Database,
        models: KnownModels,
        clock: Clock,
        answer: Callable[[Answered], None],
    ) -> None:
        """Prepare; `answer` is called by the writing thread, once for each group."""
        self._database = database
        self._models = models
        self._clock = clock
        self._answer = answer
        self._waiting: deque[SmallRequest] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, request: SmallRequest) -> None:
        """Let a request wait for its group; it will be answered.

        Raises:
            LogBusyError: too many wait already.
        """
        size = len(request.body.content)
        with self._changed:
            if len(self._waiting) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
                raise LogBusyError(waiting=len(self._waiting))
            self._waiting.append(request)
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._write_for_ever, name="group-commit", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def _write_for_ever(self) -> None:
        while True:
            for group in self._next_groups():
                self._answer(self._written(group))

    def _next_groups(self) -> list[list[SmallRequest]]:
        """Wait for requests, and return them by model and kind."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            taken = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            self._bytes -= sum(len(request.body.content) for request in taken)
        groups: dict[tuple[str, Kind], list[SmallRequest]] = {}
        for request in taken:
            groups.setdefault((request.model, request.kind), []).append(request)
        return list(groups.values())

    def _written(self, group: Sequence[SmallRequest]) -> Answered:
        """Write a group; what goes wrong with all of it is the answer to each."""
        errors: list[Exception] = []
        with Edge(errors.append):
            return self._write(group)
        return [(request, errors[0]) for request in group]

    def _write(self, group: Sequence[SmallRequest]) -> Answered:
        name, kind = group[0].model, group[0].kind
        now = self._clock.now()
        model = self._models.get(name)
        bodies = [request.body for request in group]
        checked = check_together(model, kind, bodies, now=now)
        if any(isinstance(error, InvalidRowsError) for error in checked.errors.values()):
            model = self._models.get_now(name)  # a version may have been registered this moment
            checked = check_together(model, kind, bodies, now=now)
        outcomes: dict[int, Outcome] = dict(checked.errors)
        if checked.tables:
            with self._database.writing() as session:
                outcomes = keep_together(session, model, kind, checked, now=now)
        return [(request, outcomes[place]) for place, request in enumerate(group)]
