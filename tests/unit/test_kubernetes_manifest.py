"""The manifest of a Job, against the API's own schema and against what it promises."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.controller.executors.engine import EngineJob
from mlreg.controller.executors.executor import Resources
from mlreg.controller.executors.kubernetes_manifest import PodShape, job_manifest

SCHEMA = json.loads((Path(__file__).parents[1] / "contract/kubernetes_job_v1.37.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FULL = PodShape(
    image="registry.example.org/mlreg:0.1.0",
    s3_secret="mlreg-s3",
    environment={"MLREG_S3_ENDPOINT_URL": "http://s3:8080"},
    shared_claim="exchange",
    node_labels={"pool": "big"},
    service_account="mlreg",
    pull_secret="registry",
)


def job_of(**changes):
    words = ("python", "-m", "mlreg.controller.executors.far_end", "s3://b/mlreg-1", "sha256:00")
    given = {"resources": Resources(cpus=1.5, gpus=1), "deadline_seconds": 4500.2, **changes}
    return EngineJob("mlreg-1", words, labels={"run": "12", "task": "run-12-a"}, **given)


def problems(manifest):
    return [error.message for error in VALIDATOR.iter_errors(manifest)]


names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
shapes = st.builds(
    PodShape,
    image=names,
    s3_secret=st.none() | names,
    environment=st.dictionaries(st.from_regex(r"VAR_\d{1,5}", fullmatch=True), st.text(max_size=9)),
    shared_claim=st.none() | names,
    node_labels=st.dictionaries(names, names),
    service_account=st.none() | names,
    pull_secret=st.none() | names,
)
resources = st.builds(
    Resources,
    cpus=st.floats(0.1, 64),
    memory_bytes=st.integers(2**20, 2**42),
    gpus=st.integers(0, 8),
)


@settings(max_examples=30)
@given(shapes, resources, st.floats(1, 1e6))
def test_every_manifest_is_one_to_the_api(shape, wanted, deadline):
    manifest = job_manifest(job_of(resources=wanted, deadline_seconds=deadline), shape)
    assert problems(manifest) == []


def test_the_schema_refuses_a_key_it_does_not_know():
    manifest = job_manifest(job_of(), FULL)
    manifest["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    assert "was unexpected" in problems(manifest)[0]


def test_a_pod_has_no_rights_and_is_tried_once():
    spec = job_manifest(job_of(), FULL)["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["backoffLimit"], spec["completions"], pod["restartPolicy"]) == (0, 1, "Never")
    assert spec["activeDeadlineSeconds"] == 4501
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["resources"]["requests"]["cpu"] == "1500m"
    assert (
        container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    )


def test_a_secret_is_named_and_never_written():
    environment = job_manifest(job_of(), FULL)["spec"]["template"]["spec"]["containers"][0]["env"]
    by_name = {one["name"]: one for one in environment}
    for name in ("MLREG_S3_ACCESS_KEY_ID", "MLREG_S3_SECRET_ACCESS_KEY"):
        assert "value" not in by_name[name]
        assert by_name[name]["valueFrom"]["secretKeyRef"]["name"] == "mlreg-s3"


def test_labels_say_which_run_it_is():
    manifest = job_manifest(job_of(), FULL)
    assert manifest["metadata"]["labels"]["mlreg/run"] == "12"
    assert manifest["spec"]["template"]["metadata"]["labels"]["mlreg/job"] == "mlreg-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": ""},
        {"image": "two words"},
        {"image": "x", "s3_secret": "Not_A_Name"},
        {"image": "x", "scratch": "lots"},
        {"image": "x", "privileged": True},
        {"image": "x", "s3_secret": "a..b"},
        {"image": "x", "pull_secret": "x" * 64},
        {"image": "x", "service_account": ".".join(["x" * 63] * 4) + ".x"},
        {"image": "x", "node_labels": {"größe": "big"}},
        {"image": "x", "node_labels": {"pool": "x" * 64}},
        {"image": "x", "node_labels": {"/pool": "big"}},
        {"image": "x", "environment": {"MLREG_S3_SECRET_ACCESS_KEY": "oops"}},
        {"image": "x", "environment": {"MY_TOKEN": "oops"}},
        {"image": "x", "environment": {"OPENAI_API_KEY": "oops"}},
        {"image": "x", "environment": {"DB_PASSWD": "oops"}},
        {"image": "x", "environment": {"PROXY": "http://me:oops@proxy.example.org:3128"}},
        {"image": "x", "environment": {"TRACKING": "mlr_user_ab12cd_0123456789abcdefghij"}},
    ],
)
def test_a_shape_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        PodShape(**wrong)


def test_what_kubernetes_allows_is_allowed():
    shape = PodShape(
        image="registry.example.org:5000/mlreg@sha256:" + "0" * 64,
        s3_secret="mlreg.s3.keys",
        service_account=".".join(["x" * 63] * 3),
        node_labels={"node.kubernetes.io/instance-type": "m5.24xlarge", "Spot_1": ""},
    )
    assert problems(job_manifest(job_of(), shape)) == []
