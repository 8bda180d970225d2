"""Environments: the declared places to deploy to. Nothing is deployed to an undeclared one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.services import audit
from mlreg.registry.store.tables import Environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


class EnvironmentExistsError(RefusedError):
    """An environment of that name is declared."""

    code = "environment_exists"

    def __init__(self, *, environment: str) -> None:
        super().__init__(f"environment {environment!r} exists already")


def declare_environment(
    session: WriteSession, name: str, *, actor: Actor, now: datetime
) -> Environment:
    """Declare a place to deploy to.

    Raises:
        InvalidNameError: the name is none.
        EnvironmentExistsError: it is declared.
    """
    if session.get(Environment, checked_name(name, kind="environment")) is not None:
        raise EnvironmentExistsError(environment=name)
    environment = Environment(name=name, created_at=now)
    session.add(environment)
    audit.record(
        session,
        action="environment.create",
        subject=f"environment:{name}",
        actor=actor,
        body={},
        now=now,
    )
    return environment


def list_environments(session: ReadSession) -> Sequence[Environment]:
    """Return every declared environment by name."""
    return session.exec(select(Environment).order_by(Environment.name)).all()
