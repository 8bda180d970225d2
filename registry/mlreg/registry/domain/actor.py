"""Who does something: a person, a service with a token, or a policy of the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["person", "service", "policy", "guard", "system"]
Role = Literal["admin", "controller", "viewer", "ci", "operator", "approver"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The hand behind a change.

    Attributes:
        name: as the audit log shows it, e.g. `admin`, `policy:flights/3`, `guard:log_loss`.
        kind: only a `person` or `service` bears a token; a person's rollback freezes automation.
        role: what it may do.
    """

    name: str
    kind: ActorKind
    role: Role

    @property
    def is_person(self) -> bool:
        """Whether a human hand did it (a token of kind person)."""
        return self.kind == "person"


SYSTEM = Actor(name="mlreg", kind="system", role="admin")
