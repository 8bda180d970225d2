"""Real servers for every test: one PostgreSQL per session, one database (a clone) per test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import APP, OWNER, make_database, make_roles
from mlreg.controller.api import small_requests
from mlreg.controller.store import alerts
from mlreg.controller.web import backtest_pages, explanation_pages, monitor_pages
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from mlreg.registry.web import pages
from tests.memory import keep_in_memory
from tests.servers.api import RunningApi
from tests.servers.clones import Clones
from tests.servers.receiver import Receiver
from tests.servers.running import VIRTUAL_START, RunningMlreg
from tests.servers.s3 import moto_server, rclone_server

keep_in_memory()
# LightGBM's waiting threads would spin, and tests share their cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_NUMBERS = itertools.count(1)

# How long an example takes says how busy the machine is.
settings.register_profile(
    "new", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# A push is judged by examples that it shares with the push before; others are drawn by night.
settings.register_profile("same", settings.get_profile("new"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    """The client's cache of blobs: each test has its own, and it is empty."""
    # pytest's own numbers are found by looking through the thousands that are there
    folder = tmp_path_factory.mktemp(f"cache-{next(_NUMBERS)}", numbered=False)
    monkeypatch.setenv("MLREG_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_witness(tmp_path_factory):
    """Keep the checkpoints that clients of the tests see out of the developer's own folder."""
    os.environ["MLREG_CONFIG_DIR"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def postgres():
    folder = Path(tempfile.mkdtemp(prefix="mlreg-pg-"))
    server = EmbeddedPostgres(
        folder / "pg", settings={**QUICK, "max_connections": "200"}, sync=False
    )
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres):
    make_roles(postgres)
    make_database(postgres, "mlreg_template")
    upgrade(postgres.url("mlreg_template", OWNER))
    return "mlreg_template"


@pytest.fixture(scope="session")
def clones(postgres, template):
    clones = Clones(postgres.url(), template)
    yield clones
    clones.close()


@pytest.fixture
def database_url(postgres, clones):
    """The URL of an empty, migrated database of this test's own, for the service's role.

    `postgres.url(name)` is the superuser's URL of the same server.
    """
    name = clones.take()
    yield postgres.url(name, APP)
    clones.give_back(name)


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def store(tmp_path):
    """An artifact store in a folder of this test's own."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return open_store(folder.as_uri())


@pytest.fixture
def extra_routers():
    """The routers of the controller that a test module wants served; it overrides this."""
    return ()


@pytest.fixture
def extras():
    """What those routers need by name; a test module overrides this."""
    return {}


@pytest.fixture
def api(database, store, extra_routers, extras):
    """A real API server; `api.url`, `api.token`, `api.client()`."""
    clock = SystemClock()
    running = RunningApi(
        ApiParts(
            database,
            store,
            clock,
            extra_routers=extra_routers,
            first_routes=small_requests.routes,
            page_routers=[
                pages.router,
                monitor_pages.router,
                explanation_pages.router,
                backtest_pages.router,
            ],
            model_links=[("monitors", "monitors")],
            open_alerts=alerts.count_open,
            extras=extras,
        )
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(api):
    """A client of `api` with its admin token."""
    with api.client() as client:
        yield client


@pytest.fixture(scope="session")
def rclone():
    """A real S3 server that keeps files and checks signatures."""
    server = rclone_server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto():
    """An S3 server that honours conditional writes."""
    server = moto_server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mlreg():
    """A real `mlreg up` in real time, shared by this session: use names of your own in it."""
    running = RunningMlreg()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def virtual_mlreg():
    """A real `mlreg up --virtual-clock` (from 2013), shared by this session as `mlreg` is."""
    running = RunningMlreg(virtual_start=VIRTUAL_START)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def start_mlreg():
    """Start a `mlreg up` of this test's own: `start_mlreg(data, virtual_start=…, environ=…)`."""
    started = []

    def start(*arguments, **options):
        running = RunningMlreg(*arguments, **options)
        started.append(running)
        running.start()
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def running_receiver(tmp_path_factory):
    receiver = Receiver(tmp_path_factory.mktemp("receiver")).start()
    yield receiver
    receiver.stop()


@pytest.fixture
def receiver(running_receiver):
    """A server that webhooks call; it has received nothing yet, and answers 200."""
    running_receiver.received.clear()
    running_receiver.statuses.clear()
    running_receiver.location = ""
    return running_receiver
