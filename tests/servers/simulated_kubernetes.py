"""A simulation of the part of Kubernetes' API that the engine uses; it is not Kubernetes.

It takes Jobs that the API's own schema takes, runs each as one process of this machine (the words,
and nothing but the environment of the manifest), and answers as an API server would of a node that
does so. Faults are asked for by attributes, and by the image's name.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jsonschema

SCHEMA = Path(__file__).parents[1] / "contract/kubernetes_job_v1.37.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
JOBS = re.compile(r"/apis/batch/v1/namespaces/training/jobs(?:/([a-z0-9-]+))?")
PODS = re.compile(r"/api/v1/namespaces/training/pods(?:/([a-z0-9-]+)/log)?")
TOKEN = "a-token-of-the-test"
MISSING_IMAGE = "nowhere/nothing:1"
BUSY_IMAGE = "too/large:1"


@dataclass
class Pod:
    """One job and its one pod."""

    manifest: dict
    log: Path
    process: subprocess.Popen | None = None
    deleted: bool = False
    lost: bool = False
    evicted: bool = False
    accompanied: bool = False

    @property
    def name(self):
        return self.manifest["metadata"]["name"]

    @property
    def code(self):
        return None if self.process is None else self.process.poll()

    def job(self):
        status = {}
        if self.lost:
            status["conditions"] = [condition("Failed", "BackoffLimitExceeded", "node is gone")]
        elif self.accompanied:
            pass  # a container that somebody put beside it runs for ever
        elif self.code == 0:
            status["conditions"] = [condition("Complete", "CompletionsReached", "all done")]
        elif self.code is not None:
            status["conditions"] = [condition("Failed", "BackoffLimitExceeded", "too many tries")]
        return {**self.manifest, "status": status}

    def pod(self):
        name, labels = f"{self.name}-x7k2p", self.manifest["metadata"]["labels"]
        return {"metadata": {"name": name, "labels": labels}, "status": self.pod_status()}

    def pod_status(self):
        if self.lost:
            return {"phase": "Failed", "reason": "NodeLost", "message": "Node n1 is unresponsive"}
        if self.image == BUSY_IMAGE:
            said = condition("PodScheduled", "Unschedulable", "0/3 nodes have enough memory")
            return {"phase": "Pending", "conditions": [{**said, "status": "False"}]}
        if self.image == MISSING_IMAGE:
            waiting = {"reason": "ImagePullBackOff", "message": f"Back-off pulling {self.image}"}
            return {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
        target = condition("DisruptionTarget", "EvictionByEvictionAPI", "the node is drained")
        conditions = [target] if self.evicted else []
        containers = [{"name": "beside", "state": {"running": {}}}] if self.accompanied else []
        if self.code is None:
            containers.append({"name": "task", "state": {"running": {}}})
            return {
                "phase": "Running",
                "conditions": conditions,
                "containerStatuses": containers,
            }
        code = self.code if self.code >= 0 else 128 - self.code
        reason = {0: "Completed", 137: "OOMKilled"}.get(code, "Error")
        terminated = {"exitCode": code, "reason": reason}
        containers.append({"name": "task", "state": {"terminated": terminated}})
        phase = "Failed" if code else "Succeeded"
        return {
            "phase": "Running" if self.accompanied else phase,
            "conditions": conditions,
            "containerStatuses": containers,
        }

    @property
    def image(self):
        return self.manifest["spec"]["template"]["spec"]["containers"][0]["image"]


def condition(kind, reason, message):
    return {"type": kind, "status": "True", "reason": reason, "message": message}


@dataclass
class SimulatedKubernetes:
    """The API server, and the node; `secrets` are by name and key.

    Attributes:
        environment: what the image brings.
        silent: answer nothing but 503 while it is set.
        refusing: answer nothing but this status while it is not 0.
        accompany: put another container, which runs for ever, into each pod.
        break_logs: answer so many requests for a log with half of it, and then a broken connection.
    """

    environment: dict[str, str]
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    silent: bool = False
    refusing: int = 0
    accompany: bool = False
    break_logs: int = 0
    lose_answer: bool = False
    pods: dict[str, Pod] = field(default_factory=dict)
    posted: list[dict] = field(default_factory=list)
    deletions: list[dict] = field(default_factory=list)

    def start(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kubernetes-")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.handle_error = lambda *_: None  # broken on purpose
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        for pod in self.pods.values():
            self.kill(pod)
        self.folder.cleanup()

    def kill(self, pod):
        if pod.process is not None and pod.process.poll() is None:
            os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()

    def create(self, manifest):
        wrong = [error.message for error in VALIDATOR.iter_errors(manifest)]
        if wrong:
            return 422, {"message": wrong[0]}
        name = manifest["metadata"]["name"]
        if name in self.pods:
            return 409, {"message": f'jobs.batch "{name}" already exists'}
        self.posted.append(manifest)
        log = Path(self.folder.name) / name
        pod = self.pods[name] = Pod(manifest, log, accompanied=self.accompany)
        if pod.image not in {MISSING_IMAGE, BUSY_IMAGE}:
            self._run(pod)
        return 201, pod.job()

    def evict(self, pod):
        """Drain its node: SIGTERM, and a pod that says why."""
        pod.evicted = True
        pod.process.terminate()

    def delete(self, name, options):
        pod = self.pods.get(name)
        if pod is None:
            return 404, {"message": "not found"}
        self.deletions.append(options)
        if not pod.deleted:
            pod.deleted = True
            threading.Thread(target=self._end, args=[pod], daemon=True).start()
        return 200, {"status": "Success"}

    def _run(self, pod):
        container = pod.manifest["spec"]["template"]["spec"]["containers"][0]
        given = {one["name"]: self._value(one) for one in container["env"]}
        with pod.log.open("wb") as out:
            pod.process = subprocess.Popen(
                container["command"],
                env={**self.environment, **given},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _value(self, variable):
        if "value" in variable:
            return variable["value"]
        reference = variable["valueFrom"]["secretKeyRef"]
        return self.secrets[reference["name"]][reference["key"]]

    def _end(self, pod):
        """SIGTERM, the grace, SIGKILL: then the pod is gone, and after it the job."""
        if pod.process is not None and pod.process.poll() is None:
            pod.process.terminate()
            try:
                pod.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill(pod)
        self.pods.pop(pod.name, None)


def _handler_of(cluster):  # noqa: C901 - one class that knows its cluster
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self._refused():
                return
            url = urlsplit(self.path)
            if url.path == "/version":
                self._answer(200, {"gitVersion": "v1.37.0-simulated"})
            elif found := JOBS.fullmatch(url.path):
                self._get_job(found[1])
            elif found := PODS.fullmatch(url.path):
                self._get_pod(found[1], parse_qs(url.query))

        def do_POST(self):
            if self._refused():
                return
            status, document = cluster.create(self._body())
            if cluster.lose_answer:
                cluster.lose_answer = False
                self.connection.close()
                return
            self._answer(status, document)

        def do_DELETE(self):
            if not self._refused():
                name = JOBS.fullmatch(urlsplit(self.path).path)[1]
                self._answer(*cluster.delete(name, self._body()))

        def _get_job(self, name):
            if name is None:
                self._answer(200, {"items": [pod.job() for pod in cluster.pods.values()]})
            elif name in cluster.pods:
                self._answer(200, cluster.pods[name].job())
            else:
                self._answer(404, {"message": f'jobs.batch "{name}" not found'})

        def _get_pod(self, name, query):
            if name is None:
                job = query["labelSelector"][0].partition("=")[2]
                found = [one.pod() for one in list(cluster.pods.values()) if one.name == job]
                self._answer(200, {"items": found})
                return
            pod = cluster.pods.get(name.rpartition("-")[0])
            if pod is None or pod.lost:
                self._answer(404, {"message": f'pods "{name}" not found'})
                return
            self._send_log(pod.log.read_bytes())

        def _send_log(self, content):
            broken = cluster.break_logs > 0 and len(content) > 1
            cluster.break_logs -= broken
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if broken else content)

        def _refused(self):
            if cluster.refusing:
                self._answer(cluster.refusing, {"message": "please try again later"})
            elif cluster.silent:
                self._answer(503, {"message": "etcdserver: request timed out"})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, {"message": "Unauthorized"})
            else:
                return False
            return True

        def _body(self):
            return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, status, document):
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def await_state(cluster, wanted, seconds=60.0):
    """Return the one pod of the cluster once `wanted(pod)` holds."""
    deadline = time.monotonic() + seconds
    while True:
        for pod in list(cluster.pods.values()):
            if wanted(pod):
                return pod
        assert time.monotonic() < deadline, "the pod never came so far"
        time.sleep(0.02)
