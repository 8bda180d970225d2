"""The engine's protocol: a cluster that starts a program under a name and says how it goes.

An engine knows nothing of tasks, folders or models: `remote.py` makes an executor of it.

```
UnavailableError
├── EngineUnreachableError   the cluster gives no answer
├── EngineRefusedError       it will not: a wrong token, a quota, a manifest that it does not take
├── JobNotStartedError       no place was found in time, or the image cannot be pulled
├── TaskNotDoneError         the program could not begin, or not hand over: its own words
├── JobLostError             the job, or its node, is gone without a word
└── ResultDamagedError       what came back is not what was made
```

All are unavailable: another attempt of the run may go well, and the cause stands in its record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from mlreg.controller.executors.executor import Resources
from mlreg.registry.domain.errors import UnavailableError

State = Literal["waiting", "running", "ended", "failed", "stuck", "gone"]


class EngineUnreachableError(UnavailableError):
    """The cluster's API gave no answer."""

    code = "engine_unreachable"
    hint = "`mlreg doctor` on the worker says which engines answer."

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"{where} gives no answer: {cause}")


class EngineRefusedError(UnavailableError):
    """The cluster's API said no."""

    code = "engine_refused"

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"{where} refuses: {cause}")


class JobNotStartedError(UnavailableError):
    """The cluster did not start the program."""

    code = "job_not_started"

    def __init__(self, *, name: str, cause: str) -> None:
        super().__init__(f"the cluster did not start job {name}: {cause}")


class TaskNotDoneError(UnavailableError):
    """The program on the cluster could not begin the task, or could not hand over its result."""

    code = "task_not_done"
    hint = "The cluster needs the worker's very version of mlreg, and the worker's exchange."

    def __init__(self, *, name: str, cause: str) -> None:
        super().__init__(f"job {name} could not do its task: {cause}")


class JobLostError(UnavailableError):
    """The program is gone, and did not say how it ended."""

    code = "job_lost"

    def __init__(self, *, name: str, cause: str) -> None:
        super().__init__(f"job {name} was lost: {cause}")


class ResultDamagedError(UnavailableError):
    """The files that came back are not those that the program made."""

    code = "result_damaged"

    def __init__(self, *, name: str, cause: str) -> None:
        super().__init__(f"the result of job {name} came back damaged: {cause}")


@dataclass(frozen=True, slots=True)
class EngineJob:
    """A program to be started.

    Attributes:
        name: unique; lower-case letters, digits and hyphens, at most 40.
        words: the program and its arguments; nothing in them is secret.
        resources: what the scheduler of the cluster sets aside for it.
        deadline_seconds: after so long in all, waiting included, it is of no use to anyone.
        labels: for those who look at the cluster.
    """

    name: str
    words: tuple[str, ...]
    resources: Resources
    deadline_seconds: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job goes.

    Attributes:
        state: `stuck` will not start unless somebody does something; `gone` is unknown there.
        cause: in the cluster's words, where there is something to say.
    """

    state: State
    cause: str = ""


class Engine(Protocol):
    """Starts programs on a cluster.

    Every engine promises, and `tests/contract/test_executors.py` asks of each executor on one:

    - a verb waits a bounded time, and raises `EngineUnreachableError` or `EngineRefusedError`;
    - a name that is submitted twice (an answer was lost) is one job;
    - once `remove` was called and `look` says gone, no process of the job is left.
    """

    def submit(self, job: EngineJob) -> None:
        """Ask for a job to be started; it may wait for a place."""
        ...

    def look(self, name: str) -> JobState:
        """Say how a job goes."""
        ...

    def read_log(self, name: str) -> bytes:
        """Return all that the job printed so far; empty while there is nothing."""
        ...

    def remove(self, name: str) -> None:
        """Stop a job if it runs, and forget it; one that is not there is no error."""
        ...

    def probe(self) -> str:
        """Say what answers there, in a few words."""
        ...
