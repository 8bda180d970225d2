"""From the text of a policy to the policy, and from what was written down of it.

What always holds: what is in force is what was written down when it was applied, defaults included:
a default that changes with a later mlreg changes no policy that is there already.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from mlreg.controller.domain.policy_file import (
    InvalidPolicyError,
    Kinds,
    read_policy,
    read_written_policy,
)
from mlreg.controller.domain.specification import DEFAULT_GATES
from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.domain.windows import HOUR
from mlreg.controller.gates.kinds import gate_kinds, read_gates
from mlreg.controller.triggers.kinds import trigger_kinds
from mlreg.registry.services.catalog import target_contract_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.policy import Policy
    from mlreg.registry.store.tables import Model

CACHED_POLICIES = 256
Part = TypeVar("Part", bound=BaseModel)


def kinds() -> Kinds:
    """Return the plugins that a policy may name here."""
    return Kinds(trigger_kinds(), gate_kinds())


@lru_cache(maxsize=CACHED_POLICIES)
def parse_policy(text: str) -> Policy:
    """Return the policy that a text declares; what it leaves out depends on no model yet.

    Raises:
        InvalidPolicyError: with every problem, each with its line and key.
    """
    return read_policy(text, kinds())


def complete(policy: Policy, model: Model) -> Policy:
    """Fill what a text leaves out and a model knows: the usual gates of its task, its label delay.

    `gates: []` is said, and stays: nothing is ever accepted. What is filled in was not said: the
    result's `model_fields_set` are still the keys of the text.
    """
    changes: dict[str, Any] = {}
    if "gates" not in policy.model_fields_set:
        changes["gates"] = read_gates(DEFAULT_GATES.get(model.task, ()))
    if "label_delay" not in policy.data.model_fields_set:
        longest = timedelta(seconds=target_contract_of(model).max_label_delay_seconds)
        changes["data"] = _filled(policy.data, {"label_delay": max(longest, HOUR)})
    return _filled(policy, changes)


def _filled(part: Part, values: Mapping[str, Any]) -> Part:
    """Return a part with some values, which nobody has said."""
    filled = part.model_copy(update=values)
    filled.model_fields_set.difference_update(values.keys() - part.model_fields_set)
    return filled


def written_policy(body: Mapping[str, Any]) -> Policy:
    """Return the policy that was written down when it was applied.

    Raises:
        TooNewError: a newer mlreg, or one with other plugins, wrote it.
    """
    try:
        return _written(json.dumps(body))
    except (InvalidPolicyError, ValidationError) as error:
        what = f"the policy of {body.get('model')!r}"
        raise TooNewError(what=what, problem=" ".join(str(error).split())[:500]) from error


@lru_cache(maxsize=CACHED_POLICIES)
def _written(body: str) -> Policy:
    return read_written_policy(body, kinds())
