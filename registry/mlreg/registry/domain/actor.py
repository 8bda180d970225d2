"""Who does something: a person, a service with a token, or a policy of the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.permissions import ALLOWED, INSTALLATION, Action, Role

if TYPE_CHECKING:
    from collections.abc import Collection

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
        """Whether it may do this, to this model.

        None stands for the whole installation where the action belongs to it, else for some model:
        then the caller goes on to ask about the one, or lists what `models_for` names.
        """
        by_role = action in ALLOWED[self.role]
        if action in INSTALLATION:
            return by_role and self.models is None
        if by_role and (model is None or self.models is None or model in self.models):
            return True
        return any(model in {None, name} and action in ALLOWED[role] for name, role in self.grants)

    def models_for(self, action: Action) -> frozenset[str] | None:
        """The models to which it may do this; None is every one."""
        granted = frozenset(name for name, role in self.grants if action in ALLOWED[role])
        if action not in ALLOWED[self.role]:
            return granted
        return None if self.models is None else self.models | granted

    def covers(self, other: Actor) -> bool:
        """Whether the other may do nothing, anywhere, that this one may not."""
        parts = [(other.models, other.role), *(({name}, role) for name, role in other.grants)]
        return all(self._covers(models, role) for models, role in parts)

    def _covers(self, models: Collection[str] | None, role: Role) -> bool:
        if models is None:
            return self.models is None and ALLOWED[role] <= ALLOWED[self.role]
        wanted = ALLOWED[role] - INSTALLATION
        return all(self.may(action, model) for model in models for action in wanted)

    @property
    def is_person(self) -> bool:
        """Whether a human hand did it (a token of kind person)."""
        return self.kind == "person"


SYSTEM = Actor(name="mlreg", kind="system", role="admin")
