"""The rules of archiving and deleting: what is in service stays, and what is gone can come back.

Pure: the service reads, asks these rules, and writes.

What always holds: a version that serves somewhere, or that a rollback would lead to, is not
deleted; a number that was given is never given again; for `RECOVERABLE` after a delete it can be
undone, and afterwards the row stays as the record of what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

RECOVERABLE = timedelta(days=30)
Part = Literal["champion", "candidate", "fallback", "rollback target"]


class InServiceError(RefusedError):
    """What serves somewhere, or what a rollback would lead to, is not deleted or hidden."""

    code = "in_service"
    hint = "Promote another version there first; `mlreg status` shows what is live."

    def __init__(self, *, what: str, verb: str, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        where = ", ".join(f"{place.part} in {place.environment}" for place in places)
        super().__init__(f"{what} cannot be {verb}: it is {where}")


class ReasonNeededError(InvalidError):
    """Archiving and deleting need a reason."""

    code = "reason_required"
    hint = "Add --reason TEXT; it stays in the audit log for ever."

    def __init__(self, *, verb: str) -> None:
        super().__init__(f"to {verb} needs a reason")


class VersionArchivedError(RefusedError):
    """An archived version is not promoted."""

    code = "version_archived"
    hint = "`mlreg version restore MODEL/VERSION` brings it back."

    def __init__(self, *, model: str, version: int) -> None:
        super().__init__(f"{model}/{version} is archived")


class NotDeletedError(NotFoundError):
    """There is nothing of that name to restore."""

    code = "nothing_to_restore"
    hint = "`mlreg version list MODEL --deleted` and `mlreg model list --deleted` show what is."

    def __init__(self, *, what: str) -> None:
        super().__init__(f"there is no {what} to restore")


class PurgedError(RefusedError):
    """Its bytes are gone, or may be at any moment; only the record is left."""

    code = "purged"
    hint = "Its record stays in the audit log; import or register the files again."

    def __init__(self, *, what: str) -> None:
        super().__init__(f"{what} was deleted more than {RECOVERABLE.days} days ago")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version is in service, and as what."""

    environment: str
    part: Part


@dataclass(frozen=True, slots=True)
class Service:
    """What one deployment has in service.

    Attributes:
        candidates: the numbers of those with a share of live traffic.
        fallback: what clients serve instead, by a name of their own, perhaps `model/number`.
        rollback_target: where a rollback would lead now.
    """

    environment: str
    champion: int | None
    candidates: frozenset[int]
    fallback: str | None
    rollback_target: int | None


def places_of(number: int, model: str, services: Collection[Service]) -> Iterator[Place]:
    """Yield where a version is in service."""
    names = {str(number), f"{model}/{number}"}
    for service in services:
        if service.champion == number:
            yield Place(service.environment, "champion")
        if number in service.candidates:
            yield Place(service.environment, "candidate")
        if service.fallback in names:
            yield Place(service.environment, "fallback")
        if service.rollback_target == number:
            yield Place(service.environment, "rollback target")


def live_places(places: Collection[Place]) -> list[Place]:
    """Return the places in which a version answers requests now."""
    return [place for place in places if place.part != "rollback target"]


def candidate_numbers(candidates: Collection[Mapping[str, object]]) -> frozenset[int]:
    """Return the numbers of a revision's candidates."""
    found = (candidate.get("version") for candidate in candidates)
    return frozenset(number for number in found if isinstance(number, int))
