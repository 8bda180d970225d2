"""Fault 38: tokens guessed, expired, revoked, cut, forged; and no secret in a log or a database."""

from __future__ import annotations

import base64
import json
import logging
import random
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import event
from sqlmodel import select

from mlreg.cli.log_lines import FORMAT, RedactingFormatter
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.tokens import make_token, parse_token
from mlreg.registry.services import access
from mlreg.registry.services.throttle import (
    FREE_FAILURES,
    MAX_AT_ONCE,
    Throttle,
    TooManyAttemptsError,
)
from mlreg.registry.store import tables
from mlreg.registry.store.clock import SystemClock
from tests.makers import make_model
from tests.servers.oidc_issuer import RunningIssuer
from tests.servers.whole_api import Knocker, whole_api

GUESSES = 10_000
EXCHANGE = "/api/v1/oidc/exchange"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def whole(postgres, template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    with whole_api(postgres, template, folder, "guessed_tokens") as running:
        admin = running.knocker(running.token)
        assert admin("GET", "/api/v1/whoami").status == 200  # known before the guessing begins
        admin.close()
        yield running


@pytest.fixture
def throttle(whole):
    """A throttle that has seen nothing, and whose time is moved by hand: `clock.now += 61`."""

    class Clock:
        now = 5_000.0

    made = Throttle(lambda: Clock.now)
    made.clock = Clock
    put_throttle(whole.app, made)
    return made


def put_throttle(app, throttle):
    """Give the running app's gate, pages and exchange another throttle."""
    app.state.throttle = app.state.caches.throttle = throttle
    layer = app.middleware_stack
    while layer is not None:
        if hasattr(layer, "throttle"):
            layer.throttle = throttle
        layer = getattr(layer, "app", None)


@pytest.fixture
def knocker(whole):
    made = whole.knocker()
    yield made
    made.close()


def bearing(token):
    return {"Authorization": f"Bearer {token}"}


def get(knocker, token):
    return knocker("GET", "/api/v1/whoami", headers=bearing(token))


def guesses(count):
    choose = random.Random(38).choice
    return [make_token("person", choose).text for _ in range(count)]


def wrong_tokens(whole):
    """Return a token of each kind that is not let in."""
    good = whole.make_token("good", role="viewer")
    parsed = parse_token(good)
    body = f"mlr_service_{parsed.id}_" + "0" * 32
    revoked = whole.make_token("revoked", role="viewer")
    with whole.parts.database.writing() as session:
        now = SystemClock().now()
        actor = Actor("old", "service", "viewer")
        access.revoke_token(session, parse_token(revoked).id, actor=access.SYSTEM, now=now)
        past = now - timedelta(days=2)
        expired = access.issue(
            session, actor, now - timedelta(days=1), actor=access.SYSTEM, now=past
        )
    return {
        "unknown": guesses(1)[0],
        "wrong secret": f"{body}_{zlib.crc32(body.encode()):08x}",
        "expired": expired.bearer,
        "revoked": revoked,
        "cut": good[:-1],
        "wrong checksum": good[:-8] + "00000000",
        "no token": "x",
        "long": "mlr_service_" + "a" * 5_000,
    }


def test_every_wrong_token_has_the_same_answer(whole, knocker, throttle):
    answers = {}
    for kind, token in wrong_tokens(whole).items():
        throttle.clock.now += 1_000
        got = get(knocker, token)
        answers[kind] = (got.status, got.body, sorted(set(got.headers) - {"date"}))
    nothing = knocker("GET", "/api/v1/whoami")
    answers["none"] = (nothing.status, nothing.body, sorted(set(nothing.headers) - {"date"}))
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    assert answers["none"][0] == 401
    assert b"www-authenticate" in str(answers["none"][2]).encode()


def test_the_time_to_the_answer_does_not_tell_them_apart(whole):
    """Each kind takes the same steps, one query and one comparison; the least of 200 each."""
    tokens = wrong_tokens(whole)
    times = dict.fromkeys(tokens, 1.0)
    with whole.parts.database.reading() as session:
        for kind, token in tokens.items():
            assert len(queries_of(session, token)) == 1, kind
        for kind in list(tokens) * 200:
            times[kind] = min(times[kind], time_of(session, tokens[kind]))
    assert max(times.values()) - min(times.values()) < 0.002, times


def queries_of(session, token):
    """Return the statements that checking a token takes; the API's own threads ask meanwhile."""
    queries, here = [], threading.get_ident()

    def note(*told):
        if threading.get_ident() == here:
            queries.append(told[2])

    event.listen(session.get_bind(), "before_cursor_execute", note)
    time_of(session, token)
    event.remove(session.get_bind(), "before_cursor_execute", note)
    return queries


def time_of(session, token):
    session.expunge_all()
    began = time.perf_counter()
    with pytest.raises(access.UnauthenticatedError):
        access.check_bearer(session, token, SystemClock().now())
    return time.perf_counter() - began


@pytest.mark.usefixtures("throttle")
def test_ten_thousand_guesses_are_a_handful_of_checks(whole):
    """From one address, 16 at a time: almost all are turned away unlooked at; a user goes on."""
    user = whole.knocker(whole.make_token("user", role="viewer"))
    assert user("GET", "/api/v1/whoami").status == 200
    before = refused_entries(whole)

    def guess(tokens):
        knocker = whole.knocker()
        statuses = [get(knocker, token).status for token in tokens]
        knocker.close()
        return statuses

    tokens = guesses(GUESSES)
    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        parts = [tokens[first::16] for first in range(16)]
        statuses = [status for part in pool.map(guess, parts) for status in part]
        took = time.monotonic() - began
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= FREE_FAILURES + 1 + MAX_AT_ONCE
    assert user("GET", "/api/v1/whoami").status == 200  # in use before; not asked again
    user.close()
    whole.app.state.caches.throttle.write_down(whole.parts.database, at_once=True)
    [entry] = refused_entries(whole)[len(before) :]
    body = json.loads(entry.body)
    assert body["failures"] == statuses.count(401)
    assert list(body["most"]) == ["127.0.0.1"]
    print(f"{GUESSES} guesses in {took:.1f} s, {statuses.count(401)} of them checked")


def refused_entries(whole):
    query = select(tables.AuditEntry).where(tables.AuditEntry.action == "access.refused")
    with whole.parts.database.reading() as session:
        return session.exec(query.order_by(tables.AuditEntry.seq)).all()


def test_each_failure_doubles_the_wait_up_to_a_minute(knocker, throttle):
    tokens = iter(guesses(60))
    for _ in range(FREE_FAILURES + 1):
        assert get(knocker, next(tokens)).status == 401
    waits = []
    for _ in range(9):
        refused = get(knocker, next(tokens))
        assert refused.status == 429
        assert refused.problem["code"] == "too_many_attempts"
        waits.append(int(refused.headers["retry-after"]))
        throttle.clock.now += waits[-1]
        assert get(knocker, next(tokens)).status == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    throttle.clock.now += 901
    assert [get(knocker, next(tokens)).status for _ in range(3)] == [401, 401, 401]


def test_guesses_at_one_token_from_everywhere_do_not_lock_its_bearer_out():
    throttle = Throttle(lambda: 1.0)
    for number in range(FREE_FAILURES + 1):
        with pytest.raises(access.UnauthenticatedError), throttle.attempt(f"10.0.0.{number}", "id"):
            raise access.UnauthenticatedError
    with pytest.raises(TooManyAttemptsError), throttle.attempt("10.0.1.1", "id"):
        raise access.UnauthenticatedError
    with throttle.attempt("10.0.1.2", "id"):
        pass  # the right secret


def test_what_is_tried_at_once_is_bounded():
    """Guesses that are on their way count, or a burst would be through before the first failed."""
    throttle = Throttle(lambda: 1.0)
    with ExitStack() as held:
        for _ in range(MAX_AT_ONCE):
            held.enter_context(throttle.attempt("10.0.0.1"))
        with pytest.raises(TooManyAttemptsError), throttle.attempt("10.0.0.1"):
            pass
    with throttle.attempt("10.0.0.1"):
        pass


def test_what_is_remembered_is_bounded():
    throttle = Throttle(lambda: 1.0)
    for number in range(12_000):
        address = f"2001:db8:{number >> 8:x}:{number & 255:x}::1"
        with pytest.raises(access.UnauthenticatedError), throttle.attempt(address):
            raise access.UnauthenticatedError
    assert len(throttle._records) <= 10_000
    assert len(throttle._counted) <= 10_000


def test_one_network_of_ipv6_is_one_guesser():
    throttle = Throttle(lambda: 1.0)
    for number in range(FREE_FAILURES + 1):
        with pytest.raises(access.UnauthenticatedError), throttle.attempt(f"2001:db8::{number:x}"):
            raise access.UnauthenticatedError
    with pytest.raises(TooManyAttemptsError), throttle.attempt("2001:db8::ffff:1"):
        pass


def test_the_login_page_and_the_exchange_are_slowed_down_too(knocker, throttle):
    for _ in range(FREE_FAILURES + 1):
        assert knocker("POST", "/login", "token=x", FORM).status == 401
    page = knocker("POST", "/login", "token=x", FORM)
    assert (page.status, page.headers["retry-after"]) == (429, "1")
    assert knocker("POST", EXCHANGE, {"id_token": "x"}).status == 429
    throttle.clock.now += 1_000
    for _ in range(FREE_FAILURES + 1):
        assert knocker("POST", EXCHANGE, {"id_token": "x"}).status == 401
    assert knocker("POST", EXCHANGE, {"id_token": "x"}).status == 429


@pytest.fixture(scope="module")
def issuer(whole):
    running = RunningIssuer()
    running.start()
    knocker = whole.knocker(whole.token)
    trust = {
        "name": "github",
        "issuer": running.url,
        "audience": whole.url,
        "claims": {
            "repository_id": ["74"],
            "repository_owner_id": ["65"],
            "ref": ["refs/heads/main"],
            "environment": ["production"],
        },
        "private": True,
    }
    assert knocker("POST", "/api/v1/issuers", trust).status == 201
    knocker.close()
    yield running
    running.stop()


NOW = int(time.time())
FORGED = {
    "another audience": {"aud": "https://pypi.org"},
    "our audience among others": {"aud": ["https://pypi.org", "{url}"]},
    "another issuer": {"iss": "https://token.actions.githubusercontent.com"},
    "a repository of the same name": {"repository_id": "75"},
    "a new owner of the same name": {"repository_owner_id": "66"},
    "a renamed repository, the id left out": {"repository_id": None},
    "another branch": {"ref": "refs/heads/evil"},
    "a pull request": {"ref": "refs/pull/1/merge"},
    "no environment": {"environment": None},
    "an id that is a list": {"repository_id": ["74"]},
    "expired": {"exp": NOW - 120, "iat": NOW - 400, "nbf": NOW - 400},
    "not yet valid": {"nbf": NOW + 3_600, "exp": NOW + 7_200},
    "issued in the future": {"iat": NOW + 3_600, "exp": NOW + 7_200},
    "valid for ever": {"exp": NOW + 10 * 365 * 86_400},
    "no end": {"exp": None},
    "an end that is no time": {"exp": 1e300},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
}


def exchange(knocker, throttle, id_token):
    throttle.clock.now += 1_000
    return knocker("POST", EXCHANGE, {"id_token": id_token})


@pytest.mark.parametrize("wrong", FORGED)
def test_an_id_token_that_does_not_fit(whole, issuer, knocker, throttle, wrong):
    claims = dict(FORGED[wrong])
    audience = claims.pop("aud", whole.url)
    if isinstance(audience, list):
        audience = [one.format(url=whole.url) for one in audience]
    got = exchange(knocker, throttle, issuer.id_token(audience, **claims))
    assert_refused(got)


def assert_refused(got):
    assert got.status == 401, got.body
    assert got.problem["detail"] == "authentication is required"


def signed_by_others(issuer, url):
    """Return ID tokens whose signature is not the issuer's."""
    stranger = rsa.generate_private_key(65537, 2048)
    genuine = issuer.id_token(url)
    header, payload, signature = genuine.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    other = {**claims, "repository_id": "75"}
    changed = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    jwk = {"jwk": {"kty": "RSA", "n": "x", "e": "AQAB"}, "jku": "https://evil.example/keys"}
    return {
        "another key under the same kid": issuer.id_token(url, key=stranger),
        "an unknown kid": issuer.id_token(url, kid="unknown"),
        "a key of its own": jwt.encode(claims, stranger, "RS256", headers=jwk),
        "alg none": issuer.forged(url, "none"),
        "alg None": issuer.forged(url, "None"),
        "HS256 with the public key": issuer.forged(url, "HS256"),
        "an algorithm that this trust has not": issuer.id_token(url, algorithm="ES256"),
        "the kid of a key of another kind": issuer.id_token(url, kid=issuer.keys["ES256"][0]),
        "changed claims": f"{header}.{changed}.{signature}",
        "no signature": f"{header}.{payload}.",
        "cut": genuine[:-20],
        "five parts": f"{genuine}.x.y",
        "no JWT": "eyJ.eyJ.x",
        "a critical extension": issuer_crit(issuer, url),
    }


def issuer_crit(issuer, url):
    kid, key = issuer.keys["RS256"]
    payload = json.loads(base64.urlsafe_b64decode(issuer.id_token(url).split(".")[1] + "=="))
    return jwt.encode(payload, key, "RS256", headers={"kid": kid, "crit": ["exp"]})


def test_an_id_token_that_the_issuer_did_not_sign(whole, issuer, knocker, throttle):
    for kind, id_token in signed_by_others(issuer, whole.url).items():
        got = exchange(knocker, throttle, id_token)
        assert got.status == 401, (kind, got.body)
        assert got.problem["detail"] == "authentication is required"


def test_an_id_token_is_good_once(whole, issuer, knocker, throttle):
    id_token = issuer.id_token(whole.url)
    assert exchange(knocker, throttle, id_token).status == 201
    assert_refused(exchange(knocker, throttle, id_token))


def test_of_eight_replays_at_once_one_is_taken(whole, issuer, throttle):
    id_token = issuer.id_token(whole.url)
    assert throttle is not None

    def send(_number):
        knocker = whole.knocker()
        status = knocker("POST", EXCHANGE, {"id_token": id_token}).status
        knocker.close()
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(send, range(8)))
    assert statuses == [201, *[401] * 7]


def test_a_minute_of_skew_is_forgiven(whole, issuer, knocker, throttle):
    late = issuer.id_token(whole.url, exp=int(time.time()) - 30)
    early = issuer.id_token(whole.url, iat=int(time.time()) + 30, nbf=int(time.time()) + 30)
    assert exchange(knocker, throttle, late).status == 201
    assert exchange(knocker, throttle, early).status == 201


def test_a_scope_that_does_not_reach(whole, knocker):
    with whole.parts.database.writing() as session:
        make_model(session)
    token = whole.make_token("narrow", role="viewer", models=["flights"])
    for path in ("/api/v1/tokens", "/api/v1/audit", "/api/v1/grants"):
        got = knocker("GET", path, headers=bearing(token))
        assert (got.status, got.problem["code"]) == (403, "permission_denied")


def test_no_secret_is_in_the_database(postgres, whole, issuer, knocker, throttle):
    id_token = issuer.id_token(whole.url)
    issued = json.loads(exchange(knocker, throttle, id_token).body)["token"]
    made = whole.make_token("made", role="viewer")
    get(knocker, made)
    secrets = [parse_token(text).secret for text in (issued, made, whole.token)]
    secrets += [id_token.split(".")[2], issued, made]
    content = dumped(postgres)
    assert all(parse_token(text).id.encode() in content for text in (issued, made))
    assert b"token.exchange" in content
    for secret in secrets:
        assert secret.encode() not in content


def dumped(postgres):
    """Return every row of every table as text."""
    url = postgres.url("guessed_tokens").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        rows = [
            str(connection.execute(f'SELECT t::text FROM "{name}" t').fetchall())
            for (name,) in names
        ]
    return "\n".join(rows).encode()


def test_a_log_line_has_no_secret():
    token = make_token("person", lambda alphabet: alphabet[7]).text
    presigned = "https://s3/x?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature=" + "ab" * 32
    id_token = "eyJhbGciOiJSUzI1NiJ9." + "eyJpc3MiOiJ4In0abcdef." + "c2lnbmF0dXJl" * 8
    formatter = RedactingFormatter(FORMAT)
    try:
        int(f"could not send Bearer {token} to {presigned}")
    except ValueError:
        trace = sys.exc_info()
    record = logging.LogRecord("x", 40, "f", 1, "got %s and %s", (token, id_token), trace)
    text = formatter.format(record)
    for secret in (token, "ab" * 32, "c2lnbmF0dXJl" * 8, parse_token(token).secret):
        assert secret not in text
    assert "ValueError" in text


def test_a_real_server_writes_no_secret_to_its_log_and_trusts_no_header(start_mlreg):
    """Tokens in headers, paths, queries and bodies, an ID token; then every log is read."""
    running = start_mlreg()
    knocker = Knocker(running.url, None)
    asked = {"name": "ada", "role": "admin"}
    issued = knocker("POST", "/api/v1/tokens", asked, bearing(running.token))
    made = json.loads(issued.body)["token"]
    stranger = RunningIssuer()
    id_token = stranger.id_token(running.url)
    guess = guesses(1)[0]
    for token in (made, guess, made[:-1]):
        knocker("GET", "/api/v1/whoami", headers=bearing(token))
        knocker("GET", f"/api/v1/models/{token}?token={token}", headers=bearing(made))
        knocker("GET", f"/api/v1/search?q={token}", headers=bearing(made))
        knocker("POST", "/api/v1/models", {"name": token}, bearing(made))
        knocker("POST", "/login", f"token={token}", FORM)
    knocker("POST", EXCHANGE, {"id_token": id_token})
    chosen = [
        knocker(
            "GET",
            "/api/v1/whoami",
            headers={**bearing(token), "X-Forwarded-For": f"10.1.1.{number}"},
        ).status
        for number, token in enumerate(guesses(FREE_FAILURES + 2))
    ]
    assert set(chosen) == {401, 429}  # uvicorn by itself would have believed the header
    knocker.close()
    stranger.close()
    logs = [path for path in running.data.rglob("*.log") if path.is_file()]
    assert any(b"an ID token was not exchanged" in path.read_bytes() for path in logs)
    for path in logs:
        text = path.read_text(errors="replace")
        for secret in (made, guess, running.token, id_token, parse_token(made).secret):
            assert secret not in text, path
