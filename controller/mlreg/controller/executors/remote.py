"""The remote executor: tasks on a cluster, through an engine and an exchange.

What always holds: files go and come by digest; the job is removed from the cluster however `run`
ends, and if the worker dies the program ends itself (`far_end.py`); an engine that cannot be
reached for a while is asked again, and a log that breaks off is read anew from where it was; the
lines that are told on are bounded.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from mlreg.controller.executors.engine import (
    EngineJob,
    EngineUnreachableError,
    JobLostError,
    JobNotStartedError,
    ResultDamagedError,
    TaskNotDoneError,
)
from mlreg.controller.executors.executor import ChildResult
from mlreg.controller.executors.last_word import LastWord, find_last_word
from mlreg.controller.executors.output import LineCollector
from mlreg.registry.domain.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)

if TYPE_CHECKING:
    import threading

    from mlreg.controller.executors.engine import Engine, JobState
    from mlreg.controller.executors.exchange import Exchange, Place
    from mlreg.controller.executors.executor import ChildTask, Executor

PROGRAM = "mlreg.controller.executors.far_end"
_RUN = re.compile(r"run-(\d+)-")
_LABEL = re.compile(r"[^A-Za-z0-9_.-]")
_LAST_LOOKS = 5
_SUBMISSIONS = 3
_DAMAGES = (IntegrityError, NotFoundError, InvalidError, ValueError, KeyError, TypeError)

log = logging.getLogger("mlreg.worker")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a remote executor waits for what.

    Attributes:
        look_seconds: between two looks at a job.
        start_seconds: for a place on the cluster, and its image.
        silence_seconds: for a cluster that gives no answer while the job runs.
        remove_seconds: for a job to be gone.
    """

    look_seconds: float = 1.0
    start_seconds: float = 900.0
    silence_seconds: float = 120.0
    remove_seconds: float = 60.0


class RemoteExecutor:
    """Runs tasks on the cluster of an engine."""

    def __init__(
        self,
        engine: Engine,
        exchange: Exchange,
        python: str = "python",
        patience: Patience | None = None,
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._python = python
        self._patience = patience or Patience()

    def run(self, task: ChildTask, halt: threading.Event) -> ChildResult:
        """Run a task to its end; once `halt` is set the job is removed.

        Raises:
            EngineUnreachableError, EngineRefusedError, JobNotStartedError, TaskNotDoneError,
                JobLostError: the cluster failed it.
            ResultDamagedError: it went well, and its files did not come back as they were made.
        """
        name, secret = f"mlreg-{secrets.token_hex(8)}", secrets.token_hex(12)
        place = self._exchange.place(name)
        try:
            place.beat()
            digest = place.send_task(task, version("mlreg"))
            words = (place.url, digest, secret, str(self._exchange.beat_seconds))
            job = self._job(task, name, (self._python, "-m", PROGRAM, *words))
            try:
                self._submit(job)
                attendance = _Attendance(self._engine, place, task, _Names(name, secret))
                word = attendance.follow(halt, self._patience)
                if not halt.is_set():
                    attendance.check_not_stopped(word)
            finally:
                self._remove(name)
            return _ended(word, place, task, name)
        finally:
            _clear(place)

    def close(self) -> None:
        """Give nothing back: what runs belongs to the calls of `run`."""

    def probe(self) -> str:
        """Say what answers there; raises as the engine does."""
        return self._engine.probe()

    def _job(self, task: ChildTask, name: str, words: tuple[str, ...]) -> EngineJob:
        run = _RUN.match(task.folder.name)
        labels = {"task": _LABEL.sub("-", task.folder.name)[:63].strip("-_.")}
        if run is not None:
            labels["run"] = run[1]
        deadline = task.limits.wall_seconds + self._patience.start_seconds
        return EngineJob(name, words, task.resources, deadline, labels)

    def _submit(self, job: EngineJob) -> None:
        """Submit a job, more than once where the answer is lost: its name is one job's."""
        for _ in range(_SUBMISSIONS - 1):
            try:
                self._engine.submit(job)
            except EngineUnreachableError:
                time.sleep(self._patience.look_seconds)
            else:
                return
        self._engine.submit(job)

    def _remove(self, name: str) -> None:
        """Remove a job and wait until it is gone; what is left ends itself, for nobody beats."""
        deadline = time.monotonic() + self._patience.remove_seconds
        while True:
            try:
                self._engine.remove(name)
                if self._engine.look(name).state == "gone":
                    return
            except UnavailableError as error:
                log.warning("job %s cannot be removed: %s", name, error)
            if time.monotonic() > deadline:
                log.warning("job %s is still on the cluster; it will give itself up", name)
                return
            time.sleep(self._patience.look_seconds)


@dataclass(frozen=True, slots=True)
class _Names:
    job: str
    secret: str


class _Attendance:
    """The worker's side of one job: looks at it, tells its lines, says that somebody waits."""

    def __init__(self, engine: Engine, place: Place, task: ChildTask, names: _Names) -> None:
        self._engine = engine
        self._place = place
        self._task = task
        self._names = names
        self._read = 0
        self._collector = LineCollector(task.limits.output_bytes + 64 * 1024)
        self._word: LastWord | None = None
        self._cause = ""

    def follow(self, halt: threading.Event, patience: Patience) -> LastWord:
        began = last_answer = time.monotonic()
        last_beat, started = began, False
        while not halt.is_set():
            if time.monotonic() - last_beat > self._place.exchange.beat_seconds:
                self._beat()
                last_beat = time.monotonic()
            try:
                state = self._engine.look(self._names.job)
                last_answer = time.monotonic()
            except UnavailableError:  # refusals too: it took the job a while ago
                if time.monotonic() - last_answer > patience.silence_seconds:
                    raise
                halt.wait(patience.look_seconds)
                continue
            started, self._cause = started or state.state == "running", state.cause
            self._tell()
            if self._word is not None or state.state in {"ended", "failed", "gone"}:
                return self._last_word(state, patience)
            if not started:
                _check_start(self._names.job, state, time.monotonic() - began, patience)
            halt.wait(patience.look_seconds)
        return LastWord(_halted(time.monotonic() - began))

    def check_not_stopped(self, word: LastWord) -> None:
        """Check that no one else stopped the program: another attempt may go well then.

        Raises:
            JobLostError: a drained node, an eviction, a person.
        """
        if word.ended is not None and word.ended.killed_because == "halted":
            cause = self._cause or "it was told to stop, and not by its worker"
            raise JobLostError(name=self._names.job, cause=cause)

    def _beat(self) -> None:
        try:
            self._place.beat()
        except UnavailableError as error:
            log.warning("job %s is not told that it is waited for: %s", self._names.job, error)

    def _last_word(self, state: JobState, patience: Patience) -> LastWord:
        """Return the last word; the log may come a little later than the end."""
        for _ in range(_LAST_LOOKS):
            if self._word is not None or state.state == "gone":
                break
            time.sleep(patience.look_seconds)
            self._tell()
        own, word = find_last_word(self._names.secret, self._collector.finish())
        self._task.on_lines(own)
        word = self._word or word
        if word is None:
            cause = state.cause or "its log ends without its last word"
            raise JobLostError(name=self._names.job, cause=cause)
        return word

    def _tell(self) -> None:
        try:
            whole = self._engine.read_log(self._names.job)
        except UnavailableError:
            return  # it is read anew at the next look, from where it was
        self._collector.feed(whole[self._read :])
        self._read = max(self._read, len(whole))
        own, word = find_last_word(self._names.secret, self._collector.take())
        self._word = self._word or word
        if own:
            self._task.on_lines(own)


def _check_start(name: str, state: JobState, seconds: float, patience: Patience) -> None:
    if state.state == "stuck":
        raise JobNotStartedError(name=name, cause=state.cause)
    if seconds > patience.start_seconds:
        cause = f"it has waited {seconds:.0f} s for a place {state.cause}".strip()
        raise JobNotStartedError(name=name, cause=cause)


def _halted(seconds: float) -> ChildResult:
    return ChildResult(None, 9, seconds, 0.0, 0, killed_because="halted")


def _ended(word: LastWord, place: Place, task: ChildTask, name: str) -> ChildResult:
    if word.ended is None:
        raise TaskNotDoneError(name=name, cause=word.problem or "it does not say why")
    if word.result is not None:
        try:
            place.fetch_result(word.result, task.folder)
        except _DAMAGES as error:
            raise ResultDamagedError(name=name, cause=str(error)) from error
    return word.ended


def _clear(place: Place) -> None:
    try:
        place.clear()
    except RegistryError as error:
        log.warning("%s is not cleared: %s", place.url, error)


_PROOF: type[Executor] = RemoteExecutor
