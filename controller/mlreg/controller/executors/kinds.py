"""The executors by name: the one place that knows them all.

| name | runs tasks | is there |
|---|---|---|
| `local` | in children of the worker, on its machine | always |
| `ray` | as Ray Jobs on a cluster that is there | where an address is set |
| `kubernetes` | as Jobs of a namespace, one pod each | where the shape of its pods is declared |

Third parties add theirs by the entry point group `mlreg.executors`; an entry point loads to a
function of the worker's environment that returns an `Executor`, or None where it is not set up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from mlreg.controller.domain.executor_rule import ENTRY_POINTS
from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import LOCAL
from mlreg.controller.executors.kubernetes import SERVICE_ACCOUNT, KubernetesEngine
from mlreg.controller.executors.kubernetes_manifest import KubernetesName, PodShape
from mlreg.controller.executors.ray import RayEngine
from mlreg.controller.executors.remote import RemoteExecutor
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mlreg.controller.executors.engine import Engine
    from mlreg.controller.executors.executor import ChildResult, ChildTask, Executor


class ExecutorNotHereError(UnavailableError):
    """The worker that took the run has no such executor; another worker may."""

    code = "executor_not_here"
    hint = "`mlreg doctor` says which executors a worker has, docs/how-to how to set them up."

    def __init__(self, *, kind: str, here: str) -> None:
        super().__init__(f"this worker has no executor {kind!r}; it has {here}")


class TokenUnreadableError(UnavailableError):
    """The file of a cluster's token cannot be read now."""

    code = "token_unreadable"

    def __init__(self, *, path: Path, cause: str) -> None:
        super().__init__(f"the token in {path} cannot be read: {cause}")


class RaySettings(BaseModel):
    """A Ray cluster.

    Attributes:
        address: of its dashboard, http://host:8265.
        python: what runs mlreg on its nodes.
        token_file: the bearer token of a cluster that wants one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(pattern=r"^https?://[^\s/@]+(/[^\s]*)?$")
    python: str = Field(default="python", min_length=1, max_length=500)
    token_file: Path | None = None
    ca_file: Path | None = None


class KubernetesSettings(BaseModel):
    """A namespace of a Kubernetes cluster.

    Attributes:
        url: of its API server; by default that of the cluster that the worker is a pod of.
        pod: how the pods look.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pod: PodShape
    namespace: KubernetesName = "default"
    url: str = Field(default="https://kubernetes.default.svc", pattern=r"^https?://[^\s/@]+$")
    token_file: Path = SERVICE_ACCOUNT / "token"
    ca_file: Path | None = SERVICE_ACCOUNT / "ca.crt"
    python: str = Field(default="python", min_length=1, max_length=500)


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Which executors a worker has beside the local one."""

    exchange: Exchange | None = None
    ray: RaySettings | None = None
    kubernetes: KubernetesSettings | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Executors:
    """All executors of a worker as one: each task is run by the one that it names."""

    def __init__(self, by_name: Mapping[str, Executor]) -> None:
        self._by_name = dict(by_name)

    def run(self, task: ChildTask, halt: threading.Event) -> ChildResult:
        """Run a task; see the protocol.

        Raises:
            ExecutorNotHereError: the worker has none of that name.
        """
        executor = self._by_name.get(task.executor)
        if executor is None:
            raise ExecutorNotHereError(kind=task.executor, here=", ".join(sorted(self._by_name)))
        return executor.run(task, halt)

    def close(self) -> None:
        """Close every one."""
        for executor in self._by_name.values():
            executor.close()


def open_executors(settings: ExecutorSettings, local: Executor) -> Executors:
    """Return the executors of a worker, given its local one."""
    return Executors({LOCAL: local, **open_others(settings)})


def open_others(settings: ExecutorSettings) -> dict[str, Executor]:
    """Return the executors beside the local one, by name; none of them is asked anything yet."""
    found: dict[str, Executor] = {}
    if settings.exchange is not None:
        for name, (engine, python) in _engines(settings).items():
            found[name] = RemoteExecutor(engine, settings.exchange, python)
    for point in entry_points(group=ENTRY_POINTS):
        executor = point.load()(settings.environment)
        if executor is not None:
            found[point.name] = executor
    return found


def _engines(settings: ExecutorSettings) -> dict[str, tuple[Engine, str]]:
    found: dict[str, tuple[Engine, str]] = {}
    ray, kubernetes = settings.ray, settings.kubernetes
    if ray is not None:
        token = None if ray.token_file is None else _token_of(ray.token_file)
        found["ray"] = RayEngine(ClusterApi(ray.address, token, ray.ca_file)), ray.python
    if kubernetes is not None:
        api = ClusterApi(kubernetes.url, _token_of(kubernetes.token_file), kubernetes.ca_file)
        engine = KubernetesEngine(api, kubernetes.namespace, kubernetes.pod)
        found["kubernetes"] = engine, kubernetes.python
    return found


def _token_of(path: Path) -> Callable[[], str]:
    """Return what reads the token anew: those of service accounts are replaced each hour."""

    def read() -> str:
        try:
            return path.read_text().strip()
        except OSError as error:
            raise TokenUnreadableError(path=path, cause=error.strerror or "no file") from error

    return read


_PROOF: type[Executor] = Executors
