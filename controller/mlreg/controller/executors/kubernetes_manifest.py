"""The manifest of a Kubernetes Job, as a pure function of what is to be run and how pods look.

What always holds: one pod, tried once, without rights (no root, no capabilities, no token of a
service account, a root file system that cannot be written to); no secret stands in it, only the
names of keys of a Secret; it ends at its deadline and is swept after its end, whoever forgot it.
Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlreg.client.redaction import find_secret, is_secret_name

if TYPE_CHECKING:
    from mlreg.controller.executors.engine import EngineJob

LABEL = "mlreg"
CONTAINER = "task"
SECRET_KEYS = {
    "MLREG_S3_ACCESS_KEY_ID": "access_key_id",
    "MLREG_S3_SECRET_ACCESS_KEY": "secret_access_key",
}
"""Variables of the pod, and the keys of the Secret that they come from."""
_SWEEP_SECONDS = 3600
_GRACE_SECONDS = 10
_USER = 10001
"""The user of `deploy/Dockerfile`."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_OBJECT_NAME = 253
_LABEL_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_QUANTITY = re.compile(r"[1-9][0-9]{0,5}(Mi|Gi)")


def _checked_name(given: str) -> str:
    if _NAME.fullmatch(given) is None:
        message = "a name has 1 to 63 lower-case letters, digits and inner hyphens"
        raise ValueError(message)
    return given


def _is_object_name(given: str) -> bool:
    return len(given) <= _MAX_OBJECT_NAME and all(map(_NAME.fullmatch, given.split(".")))


def _checked_object_name(given: str) -> str:
    if not _is_object_name(given):
        message = "a name has 1 to 253 lower-case letters, digits, inner hyphens and inner dots"
        raise ValueError(message)
    return given


def _checked_labels(given: dict[str, str]) -> dict[str, str]:
    for key, value in given.items():
        prefix, slash, word = key.rpartition("/")
        fits = _LABEL_WORD.fullmatch(word) and (not slash or _is_object_name(prefix))
        if not fits or (value and not _LABEL_WORD.fullmatch(value)):
            message = f"no node can have the label {key}={value}"
            raise ValueError(message)
    return given


def _checked_quantity(given: str) -> str:
    if _QUANTITY.fullmatch(given) is None:
        message = "a quantity is a whole number of Mi or Gi, such as 20Gi"
        raise ValueError(message)
    return given


def _checked_environment(given: dict[str, str]) -> dict[str, str]:
    for name, value in sorted(given.items()):
        kind = find_secret(value)
        if kind is not None or _SECRET.search(name) or is_secret_name(name):
            looks = "looks like a secret" if kind is None else f"has {kind} in it"
            message = f"{name} {looks}, and whoever may list pods would read it"
            raise ValueError(message)
    return given


KubernetesName = Annotated[str, AfterValidator(_checked_name)]
"""Of a namespace; other objects may have dots in their names as well."""
ObjectName = Annotated[str, AfterValidator(_checked_object_name)]
Quantity = Annotated[str, AfterValidator(_checked_quantity)]


class PodShape(BaseModel):
    """How the pods of all tasks look.

    Attributes:
        image: with the worker's version of mlreg, and what its trainers need.
        s3_secret: the Secret with the keys of `SECRET_KEYS`; None where the exchange is a folder,
            or the pod has its bucket by a role.
        environment: plain variables besides, such as MLREG_S3_ENDPOINT_URL; none of them secret.
        shared_claim: the volume claim that is mounted at `shared_path`, where the exchange is a
            folder.
        scratch: how much the task's own folder may hold.
        node_labels: which nodes may have it.
        service_account: None for the namespace's default, which gets no token either way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(min_length=1, max_length=500, pattern=r"^[^\s]+$")
    s3_secret: ObjectName | None = None
    environment: Annotated[dict[str, str], AfterValidator(_checked_environment)] = Field(
        default_factory=dict
    )
    shared_claim: ObjectName | None = None
    shared_path: str = Field(default="/exchange", pattern=r"^/[A-Za-z0-9._/-]+$")
    scratch: Quantity = "20Gi"
    node_labels: Annotated[dict[str, str], AfterValidator(_checked_labels)] = Field(
        default_factory=dict
    )
    service_account: ObjectName | None = None
    pull_secret: ObjectName | None = None


def job_manifest(job: EngineJob, shape: PodShape) -> dict[str, Any]:
    """Return the manifest of a job, to be posted to its namespace."""
    labels = {
        "app.kubernetes.io/managed-by": LABEL,
        f"{LABEL}/job": job.name,
        **{f"{LABEL}/{key}": value for key, value in job.labels.items()},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": math.ceil(job.deadline_seconds),
            "ttlSecondsAfterFinished": _SWEEP_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": _pod(job, shape)},
        },
    }


def _pod(job: EngineJob, shape: PodShape) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, shape)],
        "volumes": _volumes(shape),
    }
    if shape.node_labels:
        pod["nodeSelector"] = dict(shape.node_labels)
    if shape.service_account is not None:
        pod["serviceAccountName"] = shape.service_account
    if shape.pull_secret is not None:
        pod["imagePullSecrets"] = [{"name": shape.pull_secret}]
    return pod


def _container(job: EngineJob, shape: PodShape) -> dict[str, Any]:
    mounts = [{"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108 - the pod's own
    if shape.shared_claim is not None:
        mounts.append({"name": "exchange", "mountPath": shape.shared_path})
    return {
        "name": CONTAINER,
        "image": shape.image,
        "command": list(job.words),
        "env": _environment(shape),
        "resources": _resources(job),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _environment(shape: PodShape) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in sorted(shape.environment.items())
    ]
    if shape.s3_secret is None:
        return plain
    return plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": shape.s3_secret, "key": key}}}
        for name, key in SECRET_KEYS.items()
    ]


def _resources(job: EngineJob) -> dict[str, Any]:
    """Requests are limits, but for the CPU: what is free may be used, and memory may not."""
    memory = str(job.resources.memory_bytes)
    requests = {"cpu": f"{math.ceil(job.resources.cpus * 1000)}m", "memory": memory}
    limits = {"memory": memory}
    if job.resources.gpus:
        limits["nvidia.com/gpu"] = str(job.resources.gpus)
    return {"requests": requests, "limits": limits}


def _volumes(shape: PodShape) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "scratch", "emptyDir": {"sizeLimit": shape.scratch}}]
    if shape.shared_claim is not None:
        claim = {"claimName": shape.shared_claim}
        volumes.append({"name": "exchange", "persistentVolumeClaim": claim})
    return volumes
