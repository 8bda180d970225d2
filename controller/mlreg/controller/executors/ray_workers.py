"""Several workers of Ray Train that train one LightGBM model; run by the far end, on the cluster.

What always holds: each worker fetches the task by digest and trains its part in a child of its own,
as confined as any other but for the network; the result is the first worker's folder, and only if
all workers together prove that they trained one model on every row (`domain/shards.py`), else the
task has failed with the cause. One worker that fails ends all: none is started again half-way.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train
from ray.train.lightgbm import LightGBMTrainer, get_network_params

from mlreg.client.edge import Edge
from mlreg.controller.domain.shards import ShardReport, ShardsDisagreeError, check_reports
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import ChildResult, ChildTask, Limits
from mlreg.controller.executors.last_word import LastWord
from mlreg.controller.executors.local import LocalExecutor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.executors.exchange import Place

_LOOK_SECONDS = 0.5
_SILENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SharedTask:
    """What every worker is told.

    Attributes:
        url: of the place where the task lies.
        digest: of its description.
        workers: how many there are.
    """

    url: str
    digest: str
    workers: int
    cpus: float
    memory_bytes: int


@ray.remote(num_cpus=0)
class _Desk:
    """Where the workers report."""

    def __init__(self) -> None:
        self._reports: dict[int, dict[str, Any]] = {}

    def report(self, rank: int, report: dict[str, Any]) -> None:
        self._reports[rank] = report

    def reports(self) -> dict[int, dict[str, Any]]:
        return self._reports


def train_together(
    shared: SharedTask, place: Place, environment: Mapping[str, str], halt: threading.Event
) -> LastWord:
    """Train with Ray Train and return how it ended.

    Args:
        shared: the task.
        place: where it lies, and where its result goes.
        environment: of the far end.
        halt: once set, the workers are given up.
    """
    ray.init(address=environment.get("RAY_ADDRESS", "auto"), log_to_driver=True)
    try:
        desk = _Desk.remote()  # type: ignore[attr-defined]  # Ray's decorator
        failure = _fit(shared, desk, halt)
        reports: dict[int, dict[str, Any]] = ray.get(desk.reports.remote())
    finally:
        ray.shutdown()  # kills the workers that are left, and with them their children
    return _word_of(shared, place, reports, failure)


def _fit(shared: SharedTask, desk: Any, halt: threading.Event) -> str | None:  # noqa: ANN401 - an actor
    """Run the workers; return why they could not, None if they could."""
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mlreg-ray-", ignore_cleanup_errors=True) as storage:
        resources = {"CPU": shared.cpus, "memory": shared.memory_bytes}
        trainer = LightGBMTrainer(
            _work,
            train_loop_config={**asdict(shared), "desk": desk},
            scaling_config=ray.train.ScalingConfig(
                num_workers=shared.workers, resources_per_worker=resources
            ),
            run_config=ray.train.RunConfig(
                name="mlreg",
                storage_path=storage,
                failure_config=ray.train.FailureConfig(max_failures=0),
            ),
        )

        def tell(error: Exception) -> None:
            failures.append(" ".join(str(error).split())[-800:] or type(error).__name__)

        def fit() -> None:
            with Edge(tell):
                trainer.fit()

        fitting = threading.Thread(target=fit, daemon=True)
        fitting.start()
        while fitting.is_alive() and not halt.is_set():
            fitting.join(_LOOK_SECONDS)
    if halt.is_set():
        return "halted"
    return failures[0] if failures else None


def _work(config: dict[str, Any]) -> None:
    """Do one worker's part; runs in a process of Ray Train."""
    from mlreg.controller.executors import far_end  # noqa: PLC0415 - it imports us

    environment = dict(os.environ)  # noqa: TID251 - the edge of a worker's process
    url, _, name = config["url"].rpartition("/")
    place = Exchange(url, far_end.s3_settings(environment)).place(name)
    rank = ray.train.get_context().get_world_rank()
    with tempfile.TemporaryDirectory(prefix="mlreg-far-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "task"
        folder.mkdir()
        document = far_end.fetch_checked(place, config["digest"], folder)
        _take_part(folder / "job.json", rank)
        limits = Limits(**document["limits"])
        task = ChildTask(document["entry"], folder, limits, _say, network=True)
        ended = _run_watched(task, environment, config["desk"])
        report: dict[str, Any] = {"ended": asdict(ended), "answer": _answer_in(folder)}
        report["result"] = None
        if rank == 0 or not _is_trained(report):
            report["result"] = place.send_result(folder, document["inputs"])
        ray.get(config["desk"].report.remote(rank, report))
    if not _is_trained(report):
        message = f"worker {rank} trained no model"
        raise RuntimeError(message)  # so that Ray Train ends the others, who would wait for it


def _take_part(job_file: Path, rank: int) -> None:
    job = json.loads(job_file.read_bytes())
    job["shard"] = {"rank": rank, "machines": str(get_network_params()["machines"]).split(",")}
    job_file.write_text(json.dumps(job))


def _run_watched(task: ChildTask, environment: Mapping[str, str], desk: Any) -> ChildResult:  # noqa: ANN401 - an actor
    halt, done = threading.Event(), threading.Event()
    threading.Thread(target=_watch, args=[desk, halt, done], daemon=True).start()
    executor = LocalExecutor(environment, preload=())
    try:
        return executor.run(task, halt)
    finally:
        done.set()
        executor.close()


def _watch(desk: Any, halt: threading.Event, done: threading.Event) -> None:  # noqa: ANN401 - an actor
    """Halt a worker's child once the desk is gone: it dies with the far end."""
    while not done.wait(_LOOK_SECONDS):
        try:
            ray.get(desk.reports.remote(), timeout=_SILENCE_SECONDS)
        except ray.exceptions.RayError:
            halt.set()
            return


def _answer_in(folder: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads((folder / "result.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: answer.get(key) for key in ("outcome", "message", "shard")}


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - Ray carries it to the driver's log


def _word_of(
    shared: SharedTask,
    place: Place,
    reports: Mapping[int, Mapping[str, Any]],
    failure: str | None,
) -> LastWord:
    """Return the last word of all workers: of one that failed, or of the first if all agree."""
    for report in reports.values():
        if not _is_trained(report):
            return LastWord(ChildResult(**report["ended"]), report["result"])
    if failure is not None:
        return LastWord(None, problem=f"Ray Train: {failure}")
    whole = _together([ChildResult(**report["ended"]) for report in reports.values()])
    try:
        shards = [ShardReport(**report["answer"]["shard"]) for report in reports.values()]
        check_reports(shards, shared.workers)
    except ShardsDisagreeError as error:
        return LastWord(whole, _send_refusal(place, error))
    return LastWord(whole, reports[0]["result"])


def _is_trained(report: Mapping[str, Any]) -> bool:
    ended = ChildResult(**report["ended"])
    return ended.succeeded and report["answer"].get("outcome") == "trained"


def _together(ended: Sequence[ChildResult]) -> ChildResult:
    return ChildResult(
        exit_code=0,
        signal=None,
        seconds=max((one.seconds for one in ended), default=0.0),
        cpu_seconds=sum(one.cpu_seconds for one in ended),
        peak_bytes=max((one.peak_bytes for one in ended), default=0),
    )


def _send_refusal(place: Place, error: ShardsDisagreeError) -> str | None:
    """Send a result that says why there is no model, as a child's own refusal does."""
    answer = {"outcome": "failed", "code": error.code, "message": str(error), "hint": error.hint}
    with tempfile.TemporaryDirectory(prefix="mlreg-ray-") as folder:
        (Path(folder) / "result.json").write_text(json.dumps(answer))
        return place.send_result(Path(folder), None)
