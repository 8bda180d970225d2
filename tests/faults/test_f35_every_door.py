"""Fault 35: every route, role and object, made from the app itself: default deny, no leak.

MLflow's CVE-2026-0545, -2651 and -2734 were routes that nobody asked for a permission, parts of an
upload that anybody could write, and a search that showed what a look-up would not.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from sqlmodel import select
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from mlreg.controller.store import tables as controller_tables
from mlreg.registry.api.permission import (
    PUBLIC,
    NoActionNamedError,
    action_of_route,
    check_every_route,
    may,
)
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.permissions import ALLOWED, INSTALLATION
from mlreg.registry.store import tables
from tests.makers import make_decision, make_models, put_bytes
from tests.schema_forms import bodies_of
from tests.servers.whole_api import whole_api

MINE, THEIRS, NOTHING = "mine", "theirs-s3cret", "nothing-here"
ID, NO_ID = 77, 987654
DIGEST, NO_DIGEST = digest_of(f"{THEIRS}/1".encode()), "sha256:" + "e" * 64
JOBS = {
    "/reproductions/": (ID + 1, "reproduce"),
    "/freezes/": (ID + 2, "freeze"),
    "/checks/": (ID + 4, "check"),
    "/parities/": (ID + 5, "parity"),
    "/explanations/": (ID + 6, "explain"),
    "/comparisons/": (ID + 7, "compare"),
    "/backtests/": (ID + 8, "backtest"),
}
"""The number and kind of a job, by the path that shows jobs of that kind alone."""
AT = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = ("viewer", "ci", "operator", "approver", "admin")
READING_POSTS = {
    "/api/v1/models/{model}/versions/{number}/verify",
    "/api/v1/policies/preview",
}
IDS = {"number", "version", "run", "decision", "upload", "digest", "name", "key"}


@pytest.fixture(scope="module")
def whole(postgres, template, tmp_path_factory):
    """One whole API for this module, with a model that is mine and one that is theirs."""
    folder = tmp_path_factory.mktemp("artifacts")
    with whole_api(postgres, template, folder, "every_door") as running:
        for name in (MINE, THEIRS):
            make_models(running.parts.database, name)
            put_bytes(running.parts.store, name)
        fill(running.parts.database)
        yield running


def fill(database):
    """Give their model one of everything, all of them number 77."""
    with database.writing() as session:
        model = session.exec(select(tables.Model).where(tables.Model.name == THEIRS)).one()
        model.description = f"about {THEIRS}"
        own = {"model_id": model.id, "environment": "production"}
        session.add(
            tables.Deployment(
                id=ID, **own, revision=1, champion=1, updated_at=AT, frozen_reason=THEIRS
            )
        )
        session.flush()
        session.add(
            tables.Revision(
                deployment_id=ID,
                number=1,
                champion=1,
                candidates=[],
                cause="promote",
                actor="ada",
                reason=THEIRS,
                at=AT,
            )
        )
        decision = make_decision(session, model.id, 2, 1)
        session.get_one(tables.Decision, decision).id = ID
        session.add(
            controller_tables.Run(
                id=ID,
                **own,
                state="failed",
                lane="full",
                trainer="lightgbm",
                cause=THEIRS,
                specification={"note": THEIRS},
                requested_by="ada",
                created_at=AT,
            )
        )
        session.add(
            controller_tables.Incident(
                id=ID, **own, kind="outage", title=THEIRS, opened_at=AT, state="open"
            )
        )
        session.add(make_alert(own))
        session.add(
            controller_tables.Erasure(
                id=ID,
                model_id=model.id,
                entity_digest=DIGEST,
                reason=THEIRS,
                requested_by="ada",
                requested_at=AT,
            )
        )
        payload = {"model_id": model.id, "environment": "production", "version": 1, "deep": False}
        for number, kind in ((ID, "evaluate"), *((one, kind) for one, kind in JOBS.values())):
            session.add(
                controller_tables.Job(
                    id=number, kind=kind, payload=payload, state="succeeded", enqueued_at=AT
                )
            )
        session.flush()
        session.add(
            controller_tables.RunLog(run_id=ID, attempt=1, at=AT, line=f"a line of {THEIRS}")
        )


def make_alert(own):
    return controller_tables.Alert(
        id=ID,
        **own,
        kind="drift",
        title=THEIRS,
        severity="warning",
        state="open",
        culprits=[],
        memory={"seen": [], "unusual": 0, "louder": False, "after": None},
        created_at=AT,
        opened_at=AT,
    )


@pytest.fixture(scope="module")
def knockers(whole):
    """One kept connection per role over every model (`viewer` …) and for mine only (`viewer@`)."""
    made = {role: whole.make_token(f"all-{role}", role=role) for role in ROLES}
    made |= {f"{role}@": whole.make_token(f"my-{role}", role=role, models=[MINE]) for role in ROLES}
    found = {name: whole.knocker(token) for name, token in made.items()}
    yield found
    for knocker in found.values():
        knocker.close()


@pytest.fixture(scope="module")
def bodies(knockers):
    return bodies_of(json.loads(knockers["admin"]("GET", "/api/v1/openapi.json").body))


def filled(path, model, known):
    """Return a path with its parameters in place: existing ids of theirs, or unknown ones."""

    job = next((one for part, (one, _) in JOBS.items() if part in path), ID)
    number = str(job if known else NO_ID)
    values = {
        "model": model,
        "digest": DIGEST if known else NO_DIGEST,
        "version": "1",
        "other": "2",
        "number": "1" if "versions/{number" in path else number,
        "environment": "production",
        "verb": "disable",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], number), path)


def closed_routes(whole):
    for method, path, context in whole.routes():
        if path not in PUBLIC:
            yield method, path, action_of_route(context)


def answer(knocker, method, path, body=None):
    """Return what may not differ: the status and the problem, without what was asked for."""
    got = knocker(method, path, body, {"If-Match": "*"})
    detail = got.problem.get("detail", "")
    numbers = [ID, *(one for one, _ in JOBS.values()), NO_ID]
    for word in (THEIRS, NOTHING, DIGEST, NO_DIGEST, *map(str, numbers)):
        detail = detail.replace(word, "…")
    return got.status, got.problem.get("code"), detail


def test_no_route_is_open_without_a_token(whole):
    knocker = whole.knocker()
    seen = 0
    for method, path, _ in closed_routes(whole):
        got = knocker(method, filled(path, MINE, known=True), [] if method != "GET" else None)
        assert got.status == 401, (method, path, got.status)
        assert got.problem["code"] == "unauthenticated"
        seen += 1
    assert seen > 80
    knocker.close()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_what_it_may_and_no_more(whole, knockers, role):
    for method, path, action in closed_routes(whole):
        place = filled(path, MINE, known=False)
        got = knockers[role](method, place, None if method == "GET" else [], {"If-Match": "*"})
        denied = got.problem.get("code") == "permission_denied"
        assert denied == (action not in ALLOWED[role]), (method, path, action, got.body)
        assert got.status not in {401, 500}, (method, path, got.body)


def test_what_changes_something_is_not_called_reading(whole):
    reading = ALLOWED["viewer"]
    wrong = [
        (method, path)
        for method, path, action in closed_routes(whole)
        if method != "GET" and action in reading and path not in READING_POSTS
    ]
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_another_model_is_a_model_that_is_not_there(whole, knockers, bodies, role):
    knocker = knockers[f"{role}@"]
    before = audited(whole)
    for method, path, _ in closed_routes(whole):
        if "{model}" not in path:
            continue
        body = bodies.get((method, path)) if method != "GET" else None
        theirs = answer(knocker, method, filled(path, THEIRS, known=True), body)
        nothing = answer(knocker, method, filled(path, NOTHING, known=True), body)
        assert theirs == nothing, (method, path)
        assert theirs[0] in {403, 404, 405, 422}, (method, path, theirs)
    assert audited(whole) == before


@pytest.mark.parametrize("role", ROLES)
def test_an_object_of_theirs_is_an_unknown_object(whole, knockers, bodies, role):
    """By its number or digest: on its own, and below a model that is mine."""
    knocker = knockers[f"{role}@"]
    before = audited(whole)
    seen = set()
    for method, path, action in closed_routes(whole):
        if not set(re.findall(r"\{(\w+)\}", path)) & IDS or action in INSTALLATION:
            continue
        body = bodies.get((method, path)) if method != "GET" else None
        known = answer(knocker, method, filled(path, MINE, known=True), body)
        unknown = answer(knocker, method, filled(path, MINE, known=False), body)
        if "versions/{" in path and "digest" not in path:
            continue  # the number is of a version of mine
        assert known == unknown, (method, path)
        seen.add(path)
    assert len(seen) > 10
    assert audited(whole) == before


def test_the_objects_of_theirs_are_really_there(whole, knockers):
    """What the test above leans on: who may read every model finds each of them."""
    for method, path, action in closed_routes(whole):
        ids = set(re.findall(r"\{(\w+)\}", path))
        if method != "GET" or not ids & {"number", "digest"} or action in INSTALLATION:
            continue
        if "snapshots" in path or "approvals" in path:
            continue  # made by services of their own, tested beside them
        got = knockers["admin"](method, filled(path, THEIRS, known=True))
        assert got.status != 404, (path, got.body)


@pytest.mark.parametrize("role", ROLES)
def test_no_list_tells_of_another_model(whole, knockers, role):
    knocker = knockers[f"{role}@"]
    for method, path, action in closed_routes(whole):
        if method != "GET" or "{" in path or path.endswith("/clock"):
            continue
        got = knocker(method, path)
        assert THEIRS.encode() not in got.body, path
        if action in INSTALLATION:
            assert got.status == 403, path
        for name in (THEIRS, NOTHING):
            asked = knocker(method, f"{path}?model={name}&q=model:{name}&subject=model:{name}")
            if name == THEIRS:
                theirs = (asked.status, asked.body.replace(name.encode(), b""))
            else:
                assert (asked.status, asked.body.replace(name.encode(), b"")) == theirs, path
    shown = knockers["admin"]("GET", "/api/v1/models").body
    assert THEIRS.encode() in shown  # what is looked for is there to be found


def test_a_page_of_another_model_is_a_page_that_is_not_there(whole, knockers):
    token = knockers["viewer@"].token
    knocker = whole.knocker()
    cookie = {"Cookie": f"mlreg_session={token}", "Accept": "text/html"}
    for method, path, _ in closed_routes(whole):
        if path.startswith("/api/") or method != "GET":
            continue
        theirs = knocker("GET", filled(path, THEIRS, known=True), headers=cookie)
        if "{model}" not in path:
            assert THEIRS.encode() not in theirs.body, path
            continue
        nothing = knocker("GET", filled(path, NOTHING, known=True), headers=cookie)
        told, unknown = theirs.body, nothing.body.replace(NOTHING.encode(), THEIRS.encode())
        assert (theirs.status, told) == (nothing.status, unknown), path
        assert theirs.status == 404
    knocker.close()


@pytest.mark.parametrize("role", ["ci", "admin"])
def test_a_body_that_names_another_model(knockers, role):
    knocker = knockers[f"{role}@"]
    theirs = answer(knocker, "POST", "/api/v1/models", new_model(THEIRS))
    assert theirs == answer(knocker, "POST", "/api/v1/models", new_model(NOTHING))
    assert theirs[:2] == (403, "permission_denied")
    policy = "model: {}\ntriggers: [{{labelled_rows: 5}}]\n"
    for place in ("/api/v1/policies", "/api/v1/policies/preview"):
        texts = [{"text": policy.format(name)} for name in (THEIRS, NOTHING)]
        theirs, nothing = (knocker("POST", place, text) for text in texts)
        assert theirs.status in {403, 404}, theirs.body
        assert theirs.body == nothing.body.replace(NOTHING.encode(), THEIRS.encode())


def test_a_grant_opens_one_model_only(whole):
    token = whole.make_token("granted", role="viewer", models=[MINE])
    with whole.parts.database.writing() as session:
        model = session.exec(select(tables.Model).where(tables.Model.name == THEIRS)).one()
        session.add(
            tables.ModelGrant(
                principal="granted",
                model_id=model.id,
                role="operator",
                granted_by="ada",
                granted_at=AT,
            )
        )
    knocker = whole.knocker(token)
    assert knocker("GET", f"/api/v1/models/{THEIRS}").status == 200
    assert knocker("GET", f"/api/v1/runs/{ID}").status == 200
    cancel = knocker("POST", f"/api/v1/runs/{ID}/cancel", {})
    assert cancel.problem["code"] == "run_ended"  # allowed, and too late
    retrain = knocker("POST", f"/api/v1/models/{MINE}/runs", {})
    assert retrain.problem["code"] == "permission_denied"
    assert knocker("GET", "/api/v1/audit").status == 403
    knocker.close()


def new_model(name):
    return {"name": name, "target": {"task": "binary"}}


def audited(whole):
    """Return how many entries of the audit log speak of them."""
    with whole.parts.database.reading() as session:
        entries = session.exec(select(tables.AuditEntry.subject)).all()
    return sum(THEIRS in subject for subject in entries)


def plain(_request):
    return PlainTextResponse("x")


async def websocket(_socket):
    pass


@pytest.mark.parametrize(
    "route",
    [
        Route("/api/v1/backdoor", plain),
        Mount("/files", StaticFiles(directory="/", check_dir=False)),
        Mount("/inner", FastAPI()),
        WebSocketRoute("/ws", websocket),
    ],
    ids=["route", "files", "inner app", "websocket"],
)
def test_a_route_that_names_no_action_keeps_the_app_from_being_built(route):
    with pytest.raises(NoActionNamedError, match="names no action"):
        check_every_route([route])


def test_a_route_that_calls_its_model_by_another_name_is_refused():
    app, router = FastAPI(openapi_url=None, docs_url=None, redoc_url=None), APIRouter()
    router.add_api_route("/models/{name}", plain, dependencies=[may("read")])
    app.include_router(router)
    with pytest.raises(NoActionNamedError, match="hides its model"):
        check_every_route(app.routes)


def test_fastapis_own_documents_are_refused_too():
    with pytest.raises(NoActionNamedError, match=r"openapi\.json"):
        check_every_route(FastAPI().routes)
