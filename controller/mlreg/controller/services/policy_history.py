"""The versions of a policy beside each other: what each changed, and what lies between two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.policy_diff import Change, diff
from mlreg.controller.services import policies
from mlreg.controller.services.policies import PolicyInForce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession


@dataclass(frozen=True, slots=True)
class Edition:
    """One version, and how many keys it changed of the one before; None: it was the first."""

    found: PolicyInForce
    changes: int | None


def list_editions(
    session: ReadSession, model: str, environment: str, *, before: int | None, limit: int
) -> list[Edition]:
    """Return a page of the versions of a policy, newest first.

    Raises:
        ModelNotFoundError: there is none.
    """
    found = policies.list_versions(session, model, environment, before=before, limit=limit + 1)
    pairs = zip(found, [*found[1:], None], strict=False)
    counted = [Edition(one, None if old is None else len(between(old, one))) for one, old in pairs]
    return counted[:limit]


def between(old: PolicyInForce | None, new: PolicyInForce) -> Sequence[Change]:
    """Return what is different; without an old one everything is new."""
    return diff(None if old is None else old.policy.to_json(), new.policy.to_json())
