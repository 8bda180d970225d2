"""Pages of lineage and of differences: what they show, where they lead, whom they tell nothing."""

from __future__ import annotations

import re

import pytest
from sqlmodel import select

from mlreg.registry.domain.lineage import Edge, Graph, Node
from mlreg.registry.services.lineage import Lineage
from mlreg.registry.store import tables
from mlreg.registry.store.lineage import add_edges
from mlreg.registry.web.graphs import MAX_IN_COLUMN, drawing_of
from tests.api.test_doors import call
from tests.makers import START, make_models, put_bytes

SNAPSHOT = f"sha256:{'5' * 64}"
SEGMENT = f"sha256:{'6' * 64}"


@pytest.fixture
def drawn(api, client, database):
    """Two models whose versions share a snapshot; flights/1 serves."""
    for name in ("flights", "secret"):
        make_models(database, name)
        put_bytes(api.parts.store, name)
    with database.writing() as session:
        for model in session.exec(select(tables.Model)).all():
            arrows = {
                ("snapshot", SNAPSHOT): [("segment", SEGMENT)],
                ("version", f"{model.name}/1"): [("snapshot", SNAPSHOT)],
                ("version", f"{model.name}/2"): [("version", f"{model.name}/1")],
            }
            for target, sources in arrows.items():
                add_edges(session, sources, target, START, model_id=model.id)
    client.deployments.promote("flights", 1)


def page_of(api, path, token=None):
    status, headers, body = call(api, "GET", path, token=token or api.token)
    assert "script" not in headers["content-security-policy"].replace("default-src", "")
    return status, body.decode()


@pytest.mark.usefixtures("drawn")
def test_a_version_leads_to_its_lineage_and_that_to_everything_in_it(api):
    assert (
        'href="/models/flights/versions/2/lineage"' in page_of(api, "/models/flights/versions/2")[1]
    )
    status, body = page_of(api, "/models/flights/versions/1/lineage")
    assert status == 200
    assert "live in production" in body
    seen = set()
    waiting = set(re.findall(r'<a href="(/(?:lineage|models)/[^"]+)">\s*<title>', body))
    assert len(waiting) >= 5
    while waiting:
        path = waiting.pop()
        seen.add(path)
        status, body = page_of(api, path)
        assert status == 200, path
        waiting |= set(re.findall(r'<a href="(/lineage/[^"]+)">', body)) - seen
    assert {
        f"/lineage/segment%3Asha256%3A{'6' * 64}",
        "/lineage/revision%3Aflights%3Aproduction%2F1",
    } <= seen


@pytest.mark.usefixtures("drawn")
def test_a_page_draws_nothing_of_a_model_that_the_caller_may_not_read(api, client):
    narrow = client.tokens.create("bob", models=["flights"]).token
    status, body = page_of(api, f"/lineage/snapshot:{SNAPSHOT}", narrow)
    assert status == 200
    assert "flights/1" in body
    assert "1 more that you may not see" in body
    assert "secret" not in body
    for path in (
        "/lineage/secret/1",
        "/lineage/version:secret/1",
        "/models/secret/versions/1/lineage",
        "/models/secret/versions/1/diff/2",
        "/lineage/run:9",
        "/lineage/nonsense:9",
        "/lineage/version:flights/99",
    ):
        status, body = page_of(api, path, narrow)
        assert status == 404, (path, status)
        assert "<svg" not in body


@pytest.mark.usefixtures("drawn")
def test_the_page_of_a_difference_says_what_the_command_says(api, client, database):
    with database.writing() as session:
        one, other = (session.get_one(tables.Version, (1, number)) for number in (1, 2))
        one.metrics, other.metrics = {"auc": 0.75}, {"auc": 0.5, "gone": 1.0}
        one.hyperparameters, other.hyperparameters = {"num_leaves": 7}, {"num_leaves": 31}
        one.tags, other.tags = {"team": "risk"}, {}
    assert (
        'href="/models/flights/versions/1/diff/2"' in page_of(api, "/models/flights/versions/2")[1]
    )
    status, body = page_of(api, "/models/flights/versions/1/diff/2")
    assert status == 200
    said = client.versions.diff("flights", 1, 2)
    parts = [said.facts, said.data, said.params, said.metrics, said.tags, said.files]
    names = [change.name for part in parts for change in part]
    assert {"auc", "gone", "num_leaves", "team"} <= set(names)
    for name in names:
        assert f"<td>{name}</td>" in body, name
    assert '<td class="number">-0.25</td>' in body
    assert "No difference." in page_of(api, "/models/flights/versions/1/diff/1")[1]


def test_a_column_with_too_many_leaves_the_last_out_and_says_how_many():
    runs = {Node("run", str(number)) for number in range(1, 31)}
    version = Node("version", "flights/1")
    edges = {Edge(run, version) for run in runs}
    drawing = drawing_of(Lineage(Graph((version,), {version, *runs}, edges), {}))
    shown = [box.label for box in drawing.boxes if box.kind == "run"]
    assert shown == [f"run {number}" for number in range(1, MAX_IN_COLUMN + 1)]
    assert [title.left_out for title in drawing.titles] == [30 - MAX_IN_COLUMN, 0]
    assert len(drawing.arrows) == MAX_IN_COLUMN
