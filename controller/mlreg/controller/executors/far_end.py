"""The far end: the program that does a task of ours on a cluster, in a child as at home.

    python -m mlreg.controller.executors.far_end URL DIGEST SECRET BEAT_SECONDS

What always holds: the child is the local executor's, under the same limits and with as little of
the environment; what it prints goes to stdout; the last line is the last word (`last_word.py`),
whatever happened. SIGTERM kills the child, and so does the silence of who waited for the result.

It is run by the Python of the image or of the cluster, with mlreg of the very same version. S3
keys, where the exchange is a bucket, come by MLREG_S3_… in its environment.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlreg.controller.executors.exchange import FORMAT, Exchange, Place
from mlreg.controller.executors.executor import ChildTask, Limits
from mlreg.controller.executors.last_word import LastWord, spell
from mlreg.controller.executors.local import LocalExecutor
from mlreg.registry.artifacts.settings import S3Settings
from mlreg.registry.domain.errors import RefusedError, RegistryError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PREFIX = "MLREG_S3_"


class OtherVersionError(RefusedError):
    """The cluster has another mlreg than the worker."""

    code = "other_version"

    def __init__(self, *, here: str, there: str) -> None:
        super().__init__(f"the cluster has mlreg {here}, and the worker {there}")


@dataclass(frozen=True, slots=True)
class Errand:
    """What the far end was started with."""

    place: Place
    digest: str
    secret: str


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do one task and say how it ended."""
    url, digest, secret, beat_seconds = arguments
    halt = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: halt.set())
    exchange_url, _, name = url.rpartition("/")
    exchange = Exchange(exchange_url, s3_settings(environment), float(beat_seconds))
    try:
        errand = Errand(exchange.place(name), digest, secret)
        word = _do(errand, environment, halt)
    except (RegistryError, OSError) as error:
        word = LastWord(None, problem=" ".join(str(error).split())[:1000])
    else:
        if halt.is_set():
            _clear_if_abandoned(errand.place)
    _say([spell(secret, word)])
    return 0


def _clear_if_abandoned(place: Place) -> None:
    """Remove the files of a task that nobody waits for: who would have removed them is gone."""
    with suppress(RegistryError):
        if not place.is_awaited():
            place.clear()


def s3_settings(environment: Mapping[str, str]) -> S3Settings:
    """Return how the bucket is reached, as the worker's settings say it."""
    return S3Settings(
        endpoint_url=environment.get(f"{PREFIX}ENDPOINT_URL"),
        region=environment.get(f"{PREFIX}REGION"),
        access_key_id=environment.get(f"{PREFIX}ACCESS_KEY_ID"),
        secret_access_key=environment.get(f"{PREFIX}SECRET_ACCESS_KEY"),
    )


def fetch_checked(place: Place, digest: str, folder: Path) -> dict[str, Any]:
    """Fill a folder with the files of a task; return its description.

    Raises:
        OtherVersionError: it was sent by another mlreg.
        BlobCorruptError, BlobNotFoundError: the bytes are not those that were sent.
    """
    document = place.fetch_task(digest, folder)
    _check_version(document)
    return document


def _do(errand: Errand, environment: Mapping[str, str], halt: threading.Event) -> LastWord:
    with tempfile.TemporaryDirectory(prefix="mlreg-far-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "task"
        folder.mkdir()
        document = fetch_checked(errand.place, errand.digest, folder)
        with _watched(errand.place, halt):
            if document["resources"]["workers"] > 1:
                return _train_together(errand, document["resources"], environment, halt)
            executor = LocalExecutor(environment, preload=())
            try:
                ended = executor.run(_task_of(document, folder), halt)
            finally:
                executor.close()
        return LastWord(ended, errand.place.send_result(folder, document["inputs"]))


def _train_together(
    errand: Errand,
    resources: Mapping[str, Any],
    environment: Mapping[str, str],
    halt: threading.Event,
) -> LastWord:
    try:
        room = import_module("mlreg.controller.executors.ray_workers")
    except ModuleNotFoundError as error:
        problem = f"several workers need Ray Train on the cluster: there is no {error.name}"
        return LastWord(None, problem=problem)
    shared = room.SharedTask(
        url=errand.place.url,
        digest=errand.digest,
        workers=resources["workers"],
        cpus=resources["cpus"],
        memory_bytes=resources["memory_bytes"],
    )
    word: LastWord = room.train_together(shared, errand.place, environment, halt)
    return word


@contextmanager
def _watched(place: Place, halt: threading.Event) -> Iterator[None]:
    """Halt what is done in the block once nobody waits for it."""
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=[place, halt, done], daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _check_version(document: Mapping[str, Any]) -> None:
    here = version("mlreg")
    if document["mlreg"] != here or document["format"] != FORMAT:
        raise OtherVersionError(here=here, there=str(document["mlreg"]))


def _task_of(document: Mapping[str, Any], folder: Path) -> ChildTask:
    limits = Limits(**document["limits"])
    return ChildTask(
        document["entry"],
        folder,
        limits,
        _say,
        network=bool(document["network"]),
        writes=tuple(document["writes"]),
    )


def _watch(place: Place, halt: threading.Event, done: threading.Event) -> None:
    """Halt the child once nobody has said for long that they wait; a silent store says nothing."""
    while not done.wait(place.exchange.beat_seconds):
        try:
            awaited = place.is_awaited()
        except UnavailableError:
            continue
        if not awaited:
            _say(["nobody waits for this task any more: it is given up"])
            halt.set()
            return


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - stdout is its log


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))  # noqa: TID251 - the edge
