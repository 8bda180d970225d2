"""Search, comparison and pages over HTTP, as a user asks for them."""

from __future__ import annotations

import itertools

import pytest

from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.versions import EnvironmentForm, GitForm, ProvenanceForm, VersionRequest
from mlreg.registry.services import access
from mlreg.registry.store.clock import SystemClock

COUNT = 7
REMOTE = "https://github.com/acme/models"


def register(client, model, number, file):
    provenance = ProvenanceForm(
        git=GitForm(commit=f"{number:x}" * 40, dirty=False, remote=REMOTE),
        snapshots=[f"sha256:{number:064x}"],
        contract=[
            FeatureForm(name=name, dtype="float") for name in ["temp", "wind"][: number % 2 + 1]
        ],
        hyperparameters={"num_leaves": number * 10, "objective": "binary"},
        seeds={"seed": 7},
        environment=EnvironmentForm(
            python="3.11", platform="Linux", cpu="x", packages={"lightgbm": f"4.{number}.0"}
        ),
        trainer="lightgbm",
        lane="full",
    )
    return client.versions.register(
        model,
        file,
        lambda files: VersionRequest(
            files=list(files),
            provenance=provenance,
            metrics={"auc": number / 10},
            tags={"team": "risk" if number % 2 else "ops"},
        ),
    )


@pytest.fixture
def registered(client, tmp_path):
    file = tmp_path / "model.bin"
    for model in ("flights", "trains"):
        client.models.create(ModelRequest(name=model, target=TargetForm(task="binary")))
    for number in range(1, COUNT + 1):
        file.write_bytes(b"weights %d" % number)
        register(client, "flights", number, file)
    register(client, "trains", 3, file)


def names(versions):
    return [f"{version.model}/{version.number}" for version in versions]


@pytest.mark.usefixtures("registered")
def test_a_version_is_found_as_soon_as_it_is_registered(client, api):
    assert names(client.search("features:wind tag.team=risk metric.auc>=0.3")) == [
        "trains/1", "flights/7", "flights/5", "flights/3",
    ]  # fmt: skip
    assert names(client.search("git:33 model:flights")) == ["flights/3"]
    assert names(client.search("package.lightgbm>=4.6 params.num_leaves<=60")) == ["flights/6"]
    assert names(client.search(f"data:sha256:{2:064x}")) == ["flights/2"]
    assert list(client.search("lane:refit")) == []
    with pytest.raises(InvalidError, match="column 11") as refused:
        next(client.search("lane:full speed>9"))
    assert refused.value.code == "invalid_query"
    with api.parts.database.writing() as session:
        issued = access.issue_token(
            session,
            "reader",
            kind="service",
            role="viewer",
            models=frozenset({"trains"}),
            actor=access.SYSTEM,
            now=SystemClock().now(),
        )
    with api.client(issued.bearer) as reader:
        assert names(reader.search("features:wind")) == ["trains/1"]
    client.versions.archive("flights", 3, reason="old")
    assert names(client.search("git:33")) == ["trains/1"]


@pytest.mark.usefixtures("registered")
def test_lists_are_continued_by_the_cursor_of_the_page_before(client):
    versions = client.versions.list("flights", limit=3)
    rest = client.versions.list("flights", cursor=versions.next, limit=500)
    assert [version.number for version in (*versions.items, *rest.items)] == [7, 6, 5, 4, 3, 2, 1]
    assert rest.next is None
    assert [version.number for version in client.versions.walk("flights", page=2)] == [
        7, 6, 5, 4, 3, 2, 1,
    ]  # fmt: skip
    assert [model.name for model in client.models.walk(page=1)] == ["flights", "trains"]
    first = client.versions.search("lane:full", limit=5)
    second = client.versions.search("lane:full", limit=5, cursor=first.next)
    assert len(first.items) == 5
    assert names([*first.items, *second.items]) == [
        "trains/1",
        *(f"flights/{n}" for n in rest_of()),
    ]
    seen = [entry.seq for entry in itertools.islice(client.audit.list(), 5)]
    assert seen == sorted(seen, reverse=True)
    for cursor in ("x", "0", "-1", "1e3", "9" * 30):
        with pytest.raises(InvalidError) as refused:
            client.versions.list("flights", cursor=cursor)
        assert refused.value.code == "invalid_cursor"


def rest_of():
    return range(COUNT, 0, -1)


@pytest.mark.usefixtures("registered")
def test_two_versions_are_compared(client):
    found = client.versions.diff("flights", 2, 3)
    assert found.features.added == ["wind"]
    assert [(one.name, one.before, one.after) for one in found.params] == [("num_leaves", 20, 30)]
    assert found.metrics[0].delta == pytest.approx(0.1)
    assert found.code.url == f"{REMOTE}/compare/{'2' * 40}...{'3' * 40}"
    assert [change.name for change in found.packages] == ["lightgbm"]
    assert [change.name for change in found.files] == ["model.bin"]
    assert [change.name for change in found.tags] == ["team"]
    same = client.versions.diff("flights", 3, 3)
    assert (same.code, same.params, same.metrics, same.facts) == (None, [], [], [])
    with pytest.raises(NotFoundError):
        client.versions.diff("flights", 2, 99)
