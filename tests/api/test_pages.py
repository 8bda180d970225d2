"""The dashboard: what it shows, what it never does with what people wrote."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from mlreg.registry.store import tables
from tests.api.test_doors import call
from tests.makers import make_models, put_bytes

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"}}{{7*7}}"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


class Tags(HTMLParser):
    def __init__(self, page) -> None:
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def cookie(api):
    status, headers, _ = call(
        api, "POST", "/login", urlencode({"token": api.token}), token=None, **FORM
    )
    assert status == 303
    set_cookie = headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=strict" in set_cookie
    return set_cookie.split(";")[0]


@pytest.fixture
def deployed(api, client, database):
    make_models(database)
    put_bytes(api.parts.store)
    client.deployments.promote("flights", 1)
    client.deployments.promote("flights", 2, force=True, reason=EVIL)
    client.deployments.rollback("flights", reason=EVIL)
    client.deployments.acknowledge("flights", client="web-1", revision=2)


def page(api, path, cookie, **headers):
    return call(api, "GET", path, token=None, Cookie=cookie, **headers)


@pytest.mark.usefixtures("deployed")
def test_the_overview_and_a_model_show_what_is_live(api, cookie):
    status, headers, body = page(api, "/", cookie)
    assert status == 200
    assert "script" not in headers["content-security-policy"].replace("default-src", "")
    for text in (b"flights", b"v1", b"frozen", b"1 of 1 clients behind"):
        assert text in body
    _, _, body = page(api, "/models/flights", cookie)
    for text in (b"rollback", b"rolled back later", b"forced", b"web-1"):
        assert text in body


@pytest.mark.usefixtures("deployed")
def test_what_people_wrote_is_inert(api, cookie, database):
    with database.writing() as session:
        model = session.get(tables.Model, 1)
        model.description = EVIL
    for path in ("/", "/models/flights", "/models/%3Cscript%3E"):
        _, headers, body = page(api, path, cookie)
        tags = Tags(body)
        assert not tags.tags & {"script", "img", "iframe", "style"}
        assert not {name for name in tags.attributes if name.startswith("on") or name == "style"}
        assert b"49" not in body
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("deployed")
def test_the_cookie_opens_pages_and_never_the_api(api, cookie):
    assert page(api, "/api/v1/deployments", cookie)[0] == 401
    path = "/api/v1/models/flights/deployments/production/rollback"
    headers = {"Content_Type": "application/json", "If_Match": "*", "Cookie": cookie}
    assert call(api, "POST", path, b"{}", token=None, **headers)[0] == 401


def test_a_browser_without_a_cookie_is_sent_to_the_form(api):
    status, headers, _ = call(api, "GET", "/", token=None, Accept="text/html")
    assert (status, headers["location"]) == (303, "/login")
    assert call(api, "GET", "/login", token=None)[0] == 200
    assert call(api, "GET", "/static/style.css", token=None)[0] == 200


def test_a_wrong_token_does_not_log_in(api):
    status, headers, _ = call(api, "POST", "/login", "token=mlr_x", token=None, **FORM)
    assert status == 401
    assert "set-cookie" not in headers


def test_logging_out_forgets_the_cookie(api, cookie):
    status, headers, _ = call(api, "POST", "/logout", token=None, Cookie=cookie)
    assert status == 303
    assert 'mlreg_session=""' in headers["set-cookie"]


def test_an_empty_registry_says_how_to_begin(api, cookie):
    assert b"No models yet" in page(api, "/", cookie)[2]
