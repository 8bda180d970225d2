"""Fault 36: a browser that another site has turned against us (rebinding, cross-site requests).

CVE-2025-14279: MLflow answered to any Host, so that a page of a name which now led to 127.0.0.1
could read and change everything.
"""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
from sqlmodel import func, select

from mlreg.registry.store import tables
from tests.makers import make_models
from tests.servers.whole_api import whole_api

MODEL = {"name": "forged", "target": {"task": "binary"}}
BODY = json.dumps(MODEL)
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def whole(postgres, template, tmp_path_factory):
    with whole_api(
        postgres, template, tmp_path_factory.mktemp("artifacts"), "foreign_sites"
    ) as running:
        make_models(running.parts.database, "flights")
        yield running


@pytest.fixture(scope="module")
def port(whole):
    return urlsplit(whole.url).port


@pytest.fixture
def knocker(whole):
    made = whole.knocker(whole.token)
    yield made
    made.close()


@pytest.fixture
def stranger(whole):
    """A browser with no token; it may have a cookie."""
    made = whole.knocker()
    yield made
    made.close()


@pytest.fixture
def cookie(whole, stranger):
    got = stranger("POST", "/login", f"token={whole.token}", FORM)
    assert got.status == 303
    return got.headers["set-cookie"].split(";")[0]


@pytest.fixture(autouse=True)
def unchanged(whole):
    """Whatever a foreign site sends, the state and its history are as before."""
    before = state(whole)
    yield
    assert state(whole) == before


def state(whole):
    with whole.parts.database.reading() as session:
        models = session.exec(select(tables.Model.name, tables.Model.archived_at)).all()
        return sorted(models), session.exec(select(func.max(tables.AuditEntry.seq))).one()


def is_ours(got):
    return got.status not in {400, 403}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:x",
        "evil.example#127.0.0.1",
        "0.0.0.0",
        "localhost.",
        "[::ffff:127.0.0.1]",
        "[::1",
        "127.1",
        "2130706433",
        "",
        " ",
        "127.0.0.1, evil.example",
        "\xff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_is_not_ours(knocker, cookie, host, method):
    headers = {**JSON, "Host": host, "Cookie": cookie, "X-Forwarded-Host": "127.0.0.1"}
    for path in ("/", "/healthz", "/login", "/static/style.css", "/api/v1/models"):
        got = knocker(method, path, BODY if method == "POST" else None, headers)
        assert got.status == 400, (path, got.status)
        assert "set-cookie" not in got.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_our_own_names(knocker, port, host):
    assert knocker("GET", "/api/v1/models", headers={"Host": f"{host}:{port}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://127.0.0.1:{port}@evil.example"},
        {"Origin": "file://"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_site_changes_nothing(knocker, port, headers, method):
    sent = {name: value.format(port=port) for name, value in headers.items()}
    for path in ("/api/v1/models", "/api/v1/models/flights/archive", "/login", "/logout"):
        got = knocker(method, path, BODY, {**JSON, **sent})
        assert got.status == 403, (path, got.body)
        assert got.problem["code"] == "foreign_origin"
        assert "access-control-allow-origin" not in got.headers


def test_our_own_pages_and_programs_may_post(knocker, port):
    ours = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    for headers in (ours, {"Sec-Fetch-Site": "none"}, {}):
        got = knocker("POST", "/api/v1/models/nothing/archive", "{}", {**JSON, **headers})
        assert got.status in {404, 422}, got.body


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html",
        "application/jsonp",
        "application/x-ndjson",
        "application/octet-stream",
        "text/plain, application/json",
        "application/json-seq",
        "",
        None,
    ],
)
def test_json_comes_as_json_only(knocker, kind):
    """The kinds that a form of another site can send, no preflight asked, are no JSON here."""
    headers = {} if kind is None else {"Content-Type": kind}
    got = knocker("POST", "/api/v1/models", BODY, headers)
    assert got.status in {415, 422}, got.body
    assert got.status < 500


def test_a_cookie_is_no_key_to_the_api(stranger, cookie):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        body = None if method == "GET" else BODY
        for path in ("/api/v1/models", "/api/v1/models/flights/archive", "/api/v1/tokens"):
            got = stranger(method, path, body, {**JSON, "Cookie": cookie})
            assert got.status == 401, (method, path)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", "/models/flights", "/metrics"):
            assert stranger(method, path, BODY, {**JSON, "Cookie": cookie}).status == 401
    assert stranger("GET", "/", headers={"Cookie": cookie}).status == 200


def test_a_method_is_what_it_is(knocker, stranger, cookie):
    """Neither a header nor a parameter turns a look into a change."""
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        got = knocker("GET", "/api/v1/models/flights/archive?_method=POST", headers={name: "POST"})
        assert got.status in {404, 405}
        page = stranger("GET", "/logout?_method=POST", headers={name: "POST", "Cookie": cookie})
        assert page.status in {404, 405}


def test_no_preflight_is_answered(stranger):
    asked = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    got = stranger("OPTIONS", "/api/v1/models", headers=asked)
    assert got.status in {401, 403, 405}
    assert not [name for name in got.headers if name.startswith("access-control")]


def test_the_cookie_goes_nowhere_else(whole, stranger):
    got = stranger("POST", "/login", f"token={whole.token}", FORM)
    flags = {part.strip().lower() for part in got.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)


def test_no_socket_is_opened(port, cookie):
    """A WebSocket handshake is asked by any site with the cookie, and answered by none of ours."""
    lines = [
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Origin: http://evil.example",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Cookie: {cookie}",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        first = connection.recv(64)
    assert b" 101 " not in first
