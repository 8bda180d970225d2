"""The engine `ray`: Ray Jobs on a cluster that is there, over the HTTP API of its dashboard.

What always holds: the worker has no Ray of its own, and of any version; nothing of ours is pickled:
a job is a command line, and files travel through the exchange. Sources: the Ray Jobs REST API,
https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html.
"""

from __future__ import annotations

import http.client
import shlex
from typing import TYPE_CHECKING, Any

from mlreg.controller.executors.engine import EngineRefusedError, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.executors.cluster_api import ClusterApi
    from mlreg.controller.executors.engine import Engine, EngineJob, State

JOBS = "/api/jobs/"
_STATES: Mapping[str, State] = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "ended",
    "FAILED": "failed",
    "STOPPED": "failed",
}


class RayEngine:
    """Jobs of one Ray cluster."""

    def __init__(self, api: ClusterApi) -> None:
        self._api = api

    def submit(self, job: EngineJob) -> None:
        """Submit a job; the driver itself is what Ray sets resources aside for."""
        alone = job.resources.workers == 1  # else Ray Train's workers have the resources
        document = {
            "entrypoint": shlex.join(job.words),
            "submission_id": job.name,
            "metadata": {f"mlreg_{key}": value for key, value in job.labels.items()},
            "entrypoint_num_cpus": job.resources.cpus if alone else 0,
            "entrypoint_num_gpus": job.resources.gpus if alone else 0,
            "entrypoint_memory": job.resources.memory_bytes if alone else 0,
        }
        try:
            self._api.ask("POST", JOBS, document)
        except EngineRefusedError:
            if self.look(job.name).state == "gone":
                raise

    def look(self, name: str) -> JobState:
        """Say how a job goes; one that does not fit into the cluster waits."""
        answer = self._api.ask("GET", JOBS + name, absent=True)
        if answer.status == http.client.NOT_FOUND:
            return JobState("gone", "Ray does not know it any more")
        document = answer.document
        state = _STATES.get(str(document.get("status")), "waiting")
        return JobState(state, "" if state == "ended" else _cause(document))

    def read_log(self, name: str) -> bytes:
        """Return what the driver printed."""
        answer = self._api.ask("GET", f"{JOBS}{name}/logs", absent=True)
        return str(answer.document.get("logs") or "").encode()

    def remove(self, name: str) -> None:
        """Stop a job, and delete it once it has stopped; call it again until `look` says gone."""
        state = self.look(name).state
        if state in {"waiting", "running"}:
            self._api.ask("POST", f"{JOBS}{name}/stop", absent=True)
        elif state != "gone":
            self._api.ask("DELETE", JOBS + name, absent=True)

    def probe(self) -> str:
        """Say which Ray answers."""
        document = self._api.ask("GET", "/api/version").document
        return f"Ray {document.get('ray_version', 'of no version')} at {self._api.url}"


def _cause(document: Mapping[str, Any]) -> str:
    words = " ".join(str(document.get("message") or "").split())
    return f"Ray says: {words[:300]}" if words else ""


_PROOF: type[Engine] = RayEngine
