"""The composition root of the server's processes: the one place that plugs the parts together.

Each function is one role and returns when the role is told to stop. What a role does not need is
not imported by it.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.cli.installation import check_schema, clock_of
from mlreg.cli.log_lines import log_to_stderr
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.store.clock import DatabaseClock, SystemClock
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from fastapi import APIRouter, FastAPI

    from mlreg.cli.settings import Settings
    from mlreg.controller.services.claims import Price
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.clock import Clock

GRACE_SECONDS = 3
POOL_SIZE = 4


@dataclass(frozen=True)
class Parts:
    """What every role is made of."""

    database: Database
    store: ArtifactStore
    clock: Clock


@contextmanager
def opened(
    settings: Settings,
    *,
    pool_size: int = 10,
    shared_clock: bool = False,
    idle_seconds: float | None = None,
) -> Iterator[Parts]:
    """Open database, artifact store and clock for one role, and close them after it.

    Args:
        settings: what the operator said.
        pool_size: connections that are kept.
        shared_clock: real time is the database's, not this machine's.
        idle_seconds: how long a transaction of this role, stopped in the middle, keeps its locks.

    Raises:
        DatabaseUnreachableError: PostgreSQL gives no answer.
        SchemaError: its schema is not ours.
        VirtualInProductionError: production mode met a virtual clock.
    """
    log_to_stderr()
    url = settings.database_url.get_secret_value()
    database = Database(url, pool_size=pool_size, idle_seconds=idle_seconds)
    try:
        check_schema(database)
        clock = clock_of(database, settings.mode)
        if shared_clock and isinstance(clock, SystemClock):
            clock = DatabaseClock(database)
        yield Parts(database, store_of(settings), clock)
    finally:
        database.dispose()


def store_of(settings: Settings) -> ArtifactStore:
    """Open the artifact store that the settings name."""
    return open_store(settings.artifacts_url, settings.s3)


def api_of(parts: Parts, settings: Settings) -> FastAPI:
    """Build the API: the registry's rooms, and the controller's routers beside them."""
    from mlreg.cli.connections import read_connections
    from mlreg.cli.notifications import read_targets
    from mlreg.controller.api import small_requests
    from mlreg.controller.api.connections import EXTRA
    from mlreg.controller.api.rooms import ROUTERS
    from mlreg.controller.services.alerts import alert_of_broken_glass
    from mlreg.controller.services.incidents import count_open
    from mlreg.controller.services.run_signing import key_id_of
    from mlreg.controller.services.silence import SilenceSettings, SilenceWatch
    from mlreg.controller.services.snapshots import find_times
    from mlreg.controller.services.standing_in import StandIn
    from mlreg.controller.store import alerts as alert_rows
    from mlreg.registry.api.app import create_api
    from mlreg.registry.api.parts import LOCAL_HOSTS, ApiParts
    from mlreg.registry.services.dispatch import Dispatcher
    from mlreg.registry.services.posting import Postman

    dispatcher = Dispatcher(Postman(settings.posts), read_targets(settings))
    silence = SilenceWatch(
        parts.database, dispatcher, SilenceSettings(settings.silent_after_seconds)
    )
    return create_api(
        ApiParts(
            database=parts.database,
            store=parts.store,
            clock=parts.clock,
            hosts=(*LOCAL_HOSTS, settings.host, *settings.allowed_hosts),
            extra_routers=ROUTERS,
            first_routes=small_requests.routes,
            page_routers=_page_routers(),
            model_links=[("monitors", "monitors")],
            open_incidents=count_open,
            open_alerts=alert_rows.count_open,
            snapshot_times=find_times,
            raise_alarm=alert_of_broken_glass,
            upkeep=settings.upkeep,
            extras={
                "signing_key": key_id_of(settings.signing_key),
                EXTRA: read_connections(settings.connections_file),
            },
            posts=settings.posts,
            rate=settings.rate,
            companions=(silence, StandIn(parts.database, dispatcher)),
            controller_state=silence.state,
        )
    )


def _page_routers() -> list[APIRouter]:
    from mlreg.controller.web import backtest_pages, explanation_pages, monitor_pages
    from mlreg.registry.web import pages

    return [
        pages.router,
        monitor_pages.router,
        explanation_pages.router,
        backtest_pages.router,
    ]


def serve(settings: Settings, descriptor: int | None = None, gate: int | None = None) -> None:
    """Run the API until SIGTERM; on an inherited listening socket, or on host and port.

    Behind a gate (its descriptor), the database is not looked at before that is open.

    Raises:
        PortInUseError: another program listens there.
    """
    import uvicorn

    from mlreg.cli.gate import await_open
    from mlreg.cli.listening import listen
    from mlreg.controller.api.rooms import ROUTERS
    from mlreg.registry.api.app import routes_of

    routes_of(ROUTERS, _page_routers())  # most of the start: before the wait, not after it
    if gate is not None:
        await_open(gate)
    heard = listen(settings.host, settings.port) if descriptor is None else None
    listening = heard or socket.socket(fileno=descriptor)
    with opened(settings, pool_size=20) as parts:
        config = uvicorn.Config(
            api_of(parts, settings),
            loop="uvloop",  # without it nobody sets TCP_NODELAY, and keep-alive requests stall
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),  # by default it would trust 127.0.0.1
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        _stopped()  # uvicorn passes its signal on when it is done: then an end by it is no failure
        settle_memory()
        uvicorn.Server(config).run(sockets=[listening])


def settle_memory() -> None:
    """Have the collector pass over what is there, which is modules and routes and stays.

    It is a quarter of a million objects: looking at all of them stopped every request for 100 ms.
    """
    gc.freeze()
    gc.collect()  # of nothing, so that the next one is soon, and short


def control(settings: Settings) -> None:
    """Run a controller's clock until SIGTERM."""
    from mlreg.cli.assessing import COMMAND
    from mlreg.cli.notifications import heartbeat_of
    from mlreg.controller.scheduler import ControllerSettings, run_scheduler
    from mlreg.controller.services.assessor import Assessor, has_a_core

    heartbeat, stop = heartbeat_of(settings), _stopped()
    own = ControllerSettings(_own_name(), ttl_seconds=settings.leader_seconds)
    with opened(
        settings, pool_size=POOL_SIZE, shared_clock=True, idle_seconds=settings.leader_seconds
    ) as parts:
        assessor = (
            Assessor(COMMAND, parts.database.url, settings.leader_seconds) if has_a_core() else None
        )
        run_scheduler(
            parts.database, parts.clock, stop, own, heartbeat=heartbeat, assessor=assessor
        )


def work(settings: Settings) -> None:
    """Run a worker until SIGTERM."""
    from mlreg.cli.chores import chore_settings_of
    from mlreg.cli.connections import read_connections
    from mlreg.cli.executors import executor_settings_of
    from mlreg.cli.trainer_commands import read_commands
    from mlreg.controller.services.handlers import handlers_of
    from mlreg.controller.services.run_signing import key_id_of
    from mlreg.controller.services.work import WorkerSettings, run_worker
    from mlreg.registry.services.enrolling import enrol

    key_id_of(settings.signing_key)  # a key that cannot be read is said now, not by every run
    stop = _stopped()
    with opened(settings, pool_size=POOL_SIZE, shared_clock=True) as parts:
        own = WorkerSettings(
            name=_own_name(),
            folder=settings.work_folder,
            labels=tuple(settings.worker_labels),
            lease_seconds=settings.lease_seconds,
            environment=dict(os.environ),  # noqa: TID251 - the edge
            signing_key=settings.signing_key,
            connections=read_connections(settings.connections_file),
            commands=read_commands(settings.trainer_commands),
            executors=executor_settings_of(settings),
            price=_price_of(settings),
        )
        chores = chore_settings_of(settings)
        enrol(parts.database, chores.targets, SystemClock().now())
        handlers = handlers_of(chores)
        run_worker(parts.database, parts.store, parts.clock, own, stop, handlers)


def _price_of(settings: Settings) -> Price | None:
    """Return what a second of this worker costs, if it was told."""
    from mlreg.controller.services.claims import Price

    per_second = settings.price_per_second
    return None if per_second is None else Price(per_second, settings.currency)


def _own_name() -> str:
    """Return the name of this process among all that share the database, machines included."""
    return f"{socket.gethostname()}:{os.getpid()}-{secrets.token_hex(2)}"


def _stopped() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set; the second one ends the process at once."""
    event = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        if event.is_set():
            os._exit(128 + number)  # leases and leadership run out by themselves
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return event
