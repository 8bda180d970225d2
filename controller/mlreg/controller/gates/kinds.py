"""The gates by the key that names them in a policy: the one place that knows them all."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlreg.controller.domain.gates import Gate
from mlreg.controller.domain.plugins import load_kinds
from mlreg.controller.gates.baseline import BaselineGate
from mlreg.controller.gates.champion import ChampionGate
from mlreg.controller.gates.slices import SlicesGate
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUP = "mlreg.gates"
OURS: dict[str, type[Gate]] = {
    "champion": ChampionGate,
    "baseline": BaselineGate,
    "slices": SlicesGate,
}


class InvalidGateError(InvalidError):
    """A gate is of no known kind, or its keys are wrong."""

    code = "invalid_gate"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"not a gate: {cause}")


@cache
def gate_kinds() -> dict[str, type[Gate]]:
    """Return every kind of gate, those of third parties (entry points `mlreg.gates`) included."""
    others = load_kinds(entry_points(group=GROUP), Gate)  # type: ignore[type-abstract] # a base
    return {**others, **OURS}


def read_gates(forms: Sequence[Mapping[str, Any]]) -> tuple[Gate, ...]:
    """Return the gates of their JSON forms, as a policy has them.

    Raises:
        InvalidGateError: a form is not a gate.
    """
    kinds = gate_kinds()
    return tuple(_read_gate(form, kinds) for form in forms)


def _read_gate(form: Mapping[str, Any], kinds: Mapping[str, type[Gate]]) -> Gate:
    named = [kind for kind in kinds if kind in form]
    if len(named) != 1:
        raise InvalidGateError(cause=f"it must have exactly one of the keys {', '.join(kinds)}")
    try:
        return kinds[named[0]].model_validate(form)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidGateError(cause=f"{place}: {first['msg']}") from error
