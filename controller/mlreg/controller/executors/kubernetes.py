"""The engine `kubernetes`: a Job for each task, over the API server's own HTTP API.

What always holds: a job is created under a name of its own, so an answer that was lost makes no
second one; it is removed with its pods (foreground propagation); how it goes is read from the job
and its one pod, in Kubernetes' own words.
Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlreg.controller.executors.engine import EngineRefusedError, JobState
from mlreg.controller.executors.kubernetes_manifest import CONTAINER, LABEL, job_manifest

if TYPE_CHECKING:
    from mlreg.controller.executors.cluster_api import ClusterApi
    from mlreg.controller.executors.engine import Engine, EngineJob
    from mlreg.controller.executors.kubernetes_manifest import PodShape

STUCK = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    }
)
"""Why a container waits that will not start by itself."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a worker that is a pod itself has its token and the API server's certificate."""


@dataclass(frozen=True, slots=True)
class _Pod:
    """What is known of a job's pod."""

    name: str
    phase: str
    waiting: Mapping[str, Any]
    ended: Mapping[str, Any]
    status: Mapping[str, Any]


class KubernetesEngine:
    """Jobs of one namespace."""

    def __init__(self, api: ClusterApi, namespace: str, shape: PodShape) -> None:
        self._api = api
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._namespace = namespace
        self._shape = shape

    def submit(self, job: EngineJob) -> None:
        """Create the job."""
        try:
            self._api.ask("POST", self._jobs, job_manifest(job, self._shape))
        except EngineRefusedError:
            if self.look(job.name).state == "gone":
                raise

    def look(self, name: str) -> JobState:
        """Say how a job goes, by its conditions and those of its pod."""
        answer = self._api.ask("GET", f"{self._jobs}/{name}", absent=True)
        if answer.status == http.client.NOT_FOUND:
            return JobState("gone", "Kubernetes does not know it any more")
        pod = self._find_pod(name)
        finished = _finished(answer.document)
        if finished is not None:
            return JobState(finished.state, _end_of(pod) or finished.cause)
        if pod is None:
            return JobState("waiting", "it has no pod yet")
        return _state_of(pod)

    def read_log(self, name: str) -> bytes:
        """Return what the pod printed."""
        pod = self._find_pod(name)
        if pod is None or pod.phase == "Pending":
            return b""
        path = f"{self._pods}/{pod.name}/log?container={CONTAINER}"
        answer = self._api.ask("GET", path, absent=True)
        return b"" if answer.status == http.client.NOT_FOUND else answer.body

    def remove(self, name: str) -> None:
        """Delete the job and its pods; it is gone only after them."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        self._api.ask("DELETE", f"{self._jobs}/{name}", body, absent=True)

    def probe(self) -> str:
        """Say which Kubernetes answers, and that jobs may be listed there."""
        version = self._api.ask("GET", "/version").document.get("gitVersion", "of no version")
        self._api.ask("GET", f"{self._jobs}?limit=1")
        return f"Kubernetes {version} at {self._api.url}, namespace {self._namespace}"

    def _find_pod(self, name: str) -> _Pod | None:
        answer = self._api.ask("GET", f"{self._pods}?labelSelector={LABEL}%2Fjob%3D{name}")
        items = answer.document.get("items") or []
        return _pod_of(items[0]) if items else None


def _pod_of(document: Mapping[str, Any]) -> _Pod:
    status = document.get("status") or {}
    containers = status.get("containerStatuses") or [{}]
    ours = [one for one in containers if one.get("name") == CONTAINER]  # others were put beside it
    state = (ours or containers)[0].get("state") or {}
    return _Pod(
        name=str(document["metadata"]["name"]),
        phase=str(status.get("phase", "Pending")),
        waiting=state.get("waiting") or {},
        ended=state.get("terminated") or {},
        status=status,
    )


def _finished(job: Mapping[str, Any]) -> JobState | None:
    """Return how a job ended; None while it has not."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            if condition["type"] == "Complete":
                return JobState("ended")
            return JobState("failed", _words(condition))
    return None


def _end_of(pod: _Pod | None) -> str:
    """Say why a pod ended, where it did not end well.

    Of a pod that had to go its container says only that it was killed.
    """
    if pod is None:
        return ""
    said = _words(pod.status) or _condition(pod, "DisruptionTarget", "True")
    if said:
        return said
    if pod.ended and pod.ended.get("reason") not in {None, "Completed"}:
        return _words({"exit code": pod.ended.get("exitCode"), **pod.ended})
    return ""


def _state_of(pod: _Pod) -> JobState:
    if str(pod.waiting.get("reason")) in STUCK:
        return JobState("stuck", _words(pod.waiting))
    if pod.phase == "Running":
        return JobState("running", _condition(pod, "DisruptionTarget", "True"))
    if pod.phase in {"Failed", "Succeeded"}:
        state = JobState("running")  # until the job says so too
        return JobState("failed", _end_of(pod)) if pod.phase == "Failed" else state
    return JobState("waiting", _condition(pod, "PodScheduled", "False") or _words(pod.waiting))


def _condition(pod: _Pod, kind: str, status: str) -> str:
    """Return what a pod's condition says; empty where it has none of that status."""
    for condition in pod.status.get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == status:
            return _words(condition)
    return ""


def _words(said: Mapping[str, Any]) -> str:
    """Return Kubernetes' reason and message on one line; empty where it says nothing."""
    parts = [str(said[key]) for key in ("reason", "message") if said.get(key)]
    if said.get("exit code") is not None:
        parts.append(f"exit code {said['exit code']}")
    line = ": ".join(parts)
    return f"Kubernetes says: {' '.join(line.split())[:300]}" if line else ""


_PROOF: type[Engine] = KubernetesEngine
