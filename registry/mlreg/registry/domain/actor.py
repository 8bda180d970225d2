"""Who does something: a person, a service with a token, or a policy of the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlreg.registry.domain.permissions import ALLOWED, Action, Role

ActorKind = Literal["person", "service", "policy", "guard", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The hand behind a change.

    Attributes:
        name: as the audit log shows it, e.g. `admin`, `policy:flights/3`, `guard:log_loss`.
        kind: only a `person` or `service` bears a token; a person's rollback freezes automation.
        role: what it may do.
        models: the models that its role is for; None is every one.
        grants: further roles, each for one model.
    """

    name: str
    kind: ActorKind
    role: Role
    models: frozenset[str] | None = None
    grants: tuple[tuple[str, Role], ...] = ()

    def may(self, action: Action, model: str | None = None) -> bool:
        """Whether it may do this, to this model (None: to what belongs to no model)."""
        for_role = model is None or self.models is None or model in self.models
        if for_role and action in ALLOWED[self.role]:
            return True
        return any(model == name and action in ALLOWED[role] for name, role in self.grants)

    def models_for(self, action: Action) -> frozenset[str] | None:
        """The models to which it may do this; None is every one."""
        granted = frozenset(name for name, role in self.grants if action in ALLOWED[role])
        if action not in ALLOWED[self.role]:
            return granted
        return None if self.models is None else self.models | granted

    @property
    def is_person(self) -> bool:
        """Whether a human hand did it (a token of kind person)."""
        return self.kind == "person"


SYSTEM = Actor(name="mlreg", kind="system", role="admin")
