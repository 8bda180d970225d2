"""What served at a moment, since and until when, by whose hand and on what evidence.

What always holds: a reign begins with the revision that brought the champion and ends with the one
that brought another; freezing and the like in between change nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlreg.registry.domain.errors import InvalidError, NotFoundError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.revisions import NoDeploymentError
from mlreg.registry.services.catalog import EnvironmentNotFoundError, ModelNotFoundError
from mlreg.registry.store import reigns as rows
from mlreg.registry.store.tables import Decision

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession


class InvalidMomentError(InvalidError):
    """A moment that is no time, or lies in the future."""

    code = "invalid_time"
    hint = "Write it as 2026-03-01T12:00, or with a zone as 2026-03-01T12:00+01:00."

    def __init__(self, *, given: str, problem: str) -> None:
        super().__init__(f"{given[:60]!r} {problem}")


class NothingServedYetError(NotFoundError):
    """The moment lies before the first revision."""

    code = "nothing_served_yet"

    def __init__(self, *, model: str, environment: str, moment: datetime, first: datetime) -> None:
        super().__init__(
            f"nothing served {model} in {environment} at {_spell(moment)}:"
            f" its first revision is of {_spell(first)}"
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as somebody gave it.

    Attributes:
        assumed_utc: no zone was given, and UTC was taken.
    """

    at: datetime
    assumed_utc: bool


@dataclass(frozen=True, slots=True)
class Reign:
    """What served at a moment.

    Attributes:
        facts: the columns of `store/reigns.py`.
        decision: on which the champion was promoted, with its evidence; None without one.
    """

    moment: Moment
    facts: Mapping[str, Any]
    decision: Decision | None


def parse_moment(given: str, now: datetime) -> Moment:
    """Return the moment that a text names; without a zone it is UTC.

    Raises:
        InvalidMomentError: it names none, or one in the future.
    """
    try:
        parsed = datetime.fromisoformat(given.strip())
        at = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidMomentError(given=given, problem="is no time") from error
    if at > now:
        raise InvalidMomentError(given=given, problem="is in the future")
    return Moment(at, assumed_utc=parsed.tzinfo is None)


def get_reign(session: ReadSession, model: str, environment: str, moment: Moment) -> Reign:
    """Return what served a model in an environment at a moment.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError, NoDeploymentError: it is not there.
        NothingServedYetError: the moment lies before its first revision.
    """
    checked_name(environment, kind="environment")
    facts = rows.find_reign(session, checked_name(model), environment, moment.at)
    if facts is None:
        raise ModelNotFoundError(model=model)
    if facts["environment"] is None:
        raise EnvironmentNotFoundError(environment=environment)
    if facts["first_at"] is None:
        raise NoDeploymentError(model=model, environment=environment)
    if facts["revision"] is None:
        raise NothingServedYetError(
            model=model, environment=environment, moment=moment.at, first=facts["first_at"]
        )
    number = facts["decision_id"]
    decision = None if number is None else session.get(Decision, number)
    return Reign(moment, dict(facts), decision)


def _spell(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
