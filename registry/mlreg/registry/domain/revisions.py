"""The rules of revisions: where a rollback leads, and what a promote needs.

Pure: the service reads, asks these rules, and writes.

What always holds: a rollback never leads to the present champion, nor to a version whose last
reign a rollback ended, so two rollbacks in a row go back two steps and never to and fro.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.errors import IntegrityError, InvalidError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Cause = Literal[
    "promote", "policy", "rollback", "guard", "freeze", "unfreeze", "fallback", "protect"
]
ROLLBACKS: frozenset[str] = frozenset({"rollback", "guard"})
BRINGING: frozenset[str] = ROLLBACKS | {"promote", "policy"}
"""The causes that bring a champion; the others leave it."""


class FrozenError(RefusedError):
    """Automation wants to change a deployment that a person froze."""

    code = "deployment_frozen"
    hint = "A person's promote or rollback still works; `mlreg unfreeze` lets automation go on."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"automation of {model} in {environment} is frozen")


class AlreadySoError(RefusedError):
    """The deployment is already what was asked for."""

    code = "already_so"

    def __init__(self, *, model: str, state: str) -> None:
        super().__init__(f"{model} is already {state}")


class VersionBarredError(RefusedError):
    """A guard took this version down here."""

    code = "version_barred"
    hint = "`mlreg unbar MODEL VERSION` lifts the bar."

    def __init__(self, *, model: str, version: int, environment: str) -> None:
        super().__init__(f"a guard has barred {model}/{version} from {environment}")


class NotAcceptedError(RefusedError):
    """No accepted decision against the present champion stands behind this promote."""

    code = "no_accepted_decision"
    hint = "`mlreg evaluate MODEL VERSION` makes one; `--force --reason TEXT` goes without."

    def __init__(self, *, model: str, version: int, champion: int, verdict: str | None) -> None:
        said = f"the last one says {verdict}" if verdict else "there is none"
        super().__init__(
            f"{model}/{version} needs an accepted decision against champion {champion}: {said}"
        )


class ReasonRequiredError(InvalidError):
    """A promote past the gate, or through the glass, that does not say why."""

    code = "reason_required"
    hint = "Add --reason TEXT; it stays in the history for ever."

    def __init__(self) -> None:
        super().__init__("a promote past the gate, or through the glass, needs a reason")


class UnsafeFormatError(RefusedError):
    """Files that run code when they are loaded do not go live."""

    code = "unsafe_format"
    hint = (
        "Register the model in a safe format, such as LightGBM text; or an admin allows it: "
        "`mlreg model allow-unsafe MODEL --reason TEXT`."
    )

    def __init__(self, *, model: str, version: int, flavour: str) -> None:
        super().__init__(f"{model}/{version} is a {flavour}, which is never loaded here")


class BlobUnfitError(IntegrityError):
    """A file of the version is corrupt, or gone from the store."""

    code = "blob_unfit"
    hint = "Promote or roll back to another version (`--to`)."

    def __init__(self, *, model: str, version: int, path: str, state: str) -> None:
        super().__init__(f"{model}/{version} cannot serve: its file {path!r} is {state}")


class NoFormerChampionError(RefusedError):
    """There is nothing to roll back to."""

    code = "no_former_champion"
    hint = "`mlreg history MODEL` shows what was live; `--to VERSION` names a former champion."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(
            f"{model} has no former champion in {environment} that was not itself rolled back"
        )


class NeverChampionError(RefusedError):
    """A rollback leads only to what was live here before."""

    code = "never_champion"
    hint = "Use `mlreg promote` for a version that was never live here."

    def __init__(self, *, model: str, version: int, environment: str) -> None:
        super().__init__(f"{model}/{version} was never champion in {environment}")


class NoDeploymentError(NotFoundError):
    """Nothing was ever deployed there."""

    code = "deployment_not_found"
    hint = "`mlreg promote MODEL VERSION` makes the first one."

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"{model} has no deployment in {environment}")


@dataclass(frozen=True, slots=True)
class Fact:
    """What the rules need of one revision."""

    number: int
    champion: int | None
    cause: str


def find_rollback_target(
    newest_first: Iterable[Fact], current: int | None, *, gone: Collection[int] = ()
) -> int | None:
    """Return the last champion before the current one that was not itself rolled back, or None.

    What counts for a version is its latest reign: ended by a rollback, it is no target. Nor is one
    that is `gone`, deleted since.
    """
    seen = {current, None, *gone}
    for newer, fact in pairwise(newest_first):
        if fact.champion == newer.champion or fact.champion in seen:
            continue
        if newer.cause not in ROLLBACKS:
            return fact.champion
        seen.add(fact.champion)
    return None


def list_ended_by_rollback(newest_first: Iterable[Fact]) -> Iterator[int]:
    """Yield the numbers of the revisions whose champion a rollback took down."""
    ended = False
    for newer, fact in pairwise(newest_first):
        if fact.champion != newer.champion:
            ended = newer.cause in ROLLBACKS and fact.champion is not None
        if ended:
            yield fact.number
