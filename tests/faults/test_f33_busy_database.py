"""Fault 33: no connection to be had (100 of 100), a slow query, a lock that is held.

The log answers 503 with Retry-After, liveness does not wait, and all is well when it is over.
"""

import http.client
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text

from mlreg.client.feedback import ARROW, arrow_of
from mlreg.controller.api import feedback
from mlreg.controller.services.draining import drain_model
from mlreg.registry.store import database as database_module
from mlreg.registry.store.database import Database
from tests.faults.workers import PATIENCE_SECONDS
from tests.feedback_makers import NOW, make_model, make_store, predictions

LIMIT = 100
STATEMENT_MS, LOCK_MS = 1_200, 800
JSON = "application/json"


@pytest.fixture
def extra_routers():
    return (feedback.router,)


@pytest.fixture
def database(database_url, monkeypatch):
    """As the service's own, but with patience of a second instead of 30 and 5."""
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_MS", STATEMENT_MS)
    monkeypatch.setattr(database_module, "LOCK_TIMEOUT_MS", LOCK_MS)
    made = Database(database_url, pool_size=5)
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def model(database):
    return make_model(database)


@pytest.fixture
def admin(postgres, database_url):
    """The superuser, in the database of this test."""
    name = urlsplit(database_url).path.strip("/")
    url = postgres.url(name).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def small(number):
    row = predictions(number, 1).to_pylist()[0]
    row["time"] = row["time"].isoformat()
    return json.dumps({"rows": [row]}).encode(), JSON


def large(number):
    return arrow_of(predictions(number, 5)), ARROW


def ask(api, method, path, body=b"", kind=JSON):
    """Return status, headers and seconds of one request on a connection of its own."""
    headers = {"Authorization": f"Bearer {api.token}"} | ({"Content-Type": kind} if body else {})
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=60)
    with closing(connection):
        began = time.monotonic()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers, time.monotonic() - began


def send(api, made):
    return ask(api, "POST", "/api/v1/models/flights/predictions", *made)


def check_refused(api, form, *, count=12):
    """Send many at once: each waits, and is told to come again; liveness waits for nothing."""
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(send, api, form(number)) for number in range(count)]
        time.sleep(0.3)
        alive, _, seconds = ask(api, "GET", "/healthz")
        answers = [one.result() for one in asked]
    assert {status for status, _, _ in answers} == {503}
    assert all(int(headers["Retry-After"]) >= 1 for _, headers, _ in answers)
    assert alive == 200
    assert seconds < statistics.median(waited for _, _, waited in answers)


def await_taken(api, made):
    """Have it taken: at once, or where a busy machine used up the patience of a second, again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, _, seconds = send(api, made)
        if status == 200:
            return
        assert status == 503
        assert seconds >= LOCK_MS / 1000, "it was not even tried"
        assert time.monotonic() < deadline


def check_recovered(api, database, tmp_path, model, form, *, rows):
    """The same requests are taken now, each once."""
    for number in range(12):
        await_taken(api, form(number))
    drained = drain_model(database, make_store(tmp_path), model.id, now=NOW)
    assert drained.prediction_rows == rows


@contextmanager
def all_connections_taken(admin, database_url):
    """Nobody gets a connection: others hold LIMIT of LIMIT, and who had one has lost it.

    The limit is set to what is held, the superuser's own included, so that no slot comes free
    while the last of the others still leave.
    """
    name = urlsplit(database_url).path.strip("/")
    with ExitStack() as taken:
        pids = {admin.info.backend_pid}
        while len(pids) < LIMIT:
            connection = psycopg.connect(database_url.replace("+psycopg", ""))
            pids.add(taken.enter_context(closing(connection)).info.backend_pid)
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {LIMIT}")
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> ALL(%s)",
            (name, list(pids)),
        )
        yield
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")  # some may still leave


@pytest.mark.parametrize(("form", "rows"), [(small, 12), (large, 60)])
def test_no_connection_to_be_had(api, database, database_url, admin, tmp_path, model, form, rows):
    await_taken(api, small(900))  # who calls is known by now
    with all_connections_taken(admin, database_url):
        check_refused(api, form)
    check_recovered(api, database, tmp_path, model, form, rows=rows + 1)


@pytest.mark.parametrize(("form", "rows"), [(small, 12), (large, 60)])
def test_a_slow_query(api, database, admin, tmp_path, model, form, rows):
    await_taken(api, small(900))
    admin.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(40); RETURN NEW; END $$"
    )
    admin.execute("CREATE TRIGGER slow BEFORE INSERT ON batch FOR EACH ROW EXECUTE FUNCTION slow()")
    check_refused(api, form, count=4)
    admin.execute("DROP TRIGGER slow ON batch")
    check_recovered(api, database, tmp_path, model, form, rows=rows + 1)


@pytest.mark.parametrize(("form", "rows"), [(small, 12), (large, 60)])
def test_a_lock_that_is_held(api, database, admin, tmp_path, model, form, rows):
    await_taken(api, small(900))
    held, over = threading.Event(), threading.Event()

    def hold():
        with admin.transaction():
            admin.execute("LOCK TABLE batch IN ACCESS EXCLUSIVE MODE")
            held.set()
            over.wait(PATIENCE_SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE_SECONDS)
    try:
        check_refused(api, form, count=4)
    finally:
        over.set()
        holder.join()
    check_recovered(api, database, tmp_path, model, form, rows=rows + 1)
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM batch")).scalar_one() == 13
