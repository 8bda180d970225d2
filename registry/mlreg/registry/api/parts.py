"""What an API is made of: everything that its composition root plugs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fastapi import APIRouter
from starlette.routing import BaseRoute

from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.clock import Clock
from mlreg.registry.domain.upkeep import UpkeepSettings
from mlreg.registry.services.change import Change, ChangedState
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.services.rates import Rate
from mlreg.registry.store.database import Database, ReadSession, WriteSession

RaiseAlarm = Callable[[WriteSession, Change, ChangedState, datetime], None]
FindTimes = Callable[[ReadSession, Sequence[str]], Mapping[str, tuple[datetime, datetime]]]
CountIncidents = Callable[[ReadSession], Mapping[tuple[str, str], int]]
FirstRoutes = Callable[[str], Sequence[BaseRoute]]


class Companion(Protocol):
    """Something that runs as long as this process serves."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End soon."""
        ...


LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def _no_routes(_prefix: str) -> Sequence[BaseRoute]:
    return ()


@dataclass(frozen=True)
class ApiParts:
    """The parts of one API process.

    Attributes:
        database: where state is.
        store: where bytes are.
        clock: business time; tokens always live in real time.
        hosts: names under which the API may be called (`Host`), without ports; `*` is any.
        extra_routers: routes of rooms above the registry (the controller's).
        open_incidents: counts open incidents by (model, environment), where a controller is.
        open_alerts: counts open alerts by (model, environment), where a controller is.
        raise_alarm: opens an incident of a promote through broken glass, where a controller is.
        snapshot_times: finds the times of the rows of snapshots, where a controller is.
        first_routes: routes of those rooms that are asked before all others, below a prefix: they
            are asked thousands of times a second.
        page_routers: pages for browsers (the dashboards'), beside the API.
        model_links: where a model's page leads besides: titles, and the paths below its own.
        extras: what those routes need besides, by name; they find it by `extra(request, name)`.
        upkeep: what the operator says about keeping bytes.
        rate: how many requests one sender may send to this process.
        posts: whom webhooks may call.
        companions: run beside the API.
        controller_state: says how the controller is, in a few words, without asking the database.
    """

    database: Database
    store: ArtifactStore
    clock: Clock
    hosts: tuple[str, ...] = LOCAL_HOSTS
    extra_routers: Sequence[APIRouter] = ()
    first_routes: FirstRoutes = _no_routes
    open_incidents: CountIncidents | None = None
    open_alerts: CountIncidents | None = None
    snapshot_times: FindTimes | None = None
    raise_alarm: RaiseAlarm | None = None
    page_routers: Sequence[APIRouter] = ()
    model_links: Sequence[tuple[str, str]] = ()
    extras: Mapping[str, object] = field(default_factory=dict)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    rate: Rate = field(default_factory=Rate)
    posts: PostSettings = field(default_factory=PostSettings)
    companions: Sequence[Companion] = ()
    controller_state: Callable[[], str] | None = None
