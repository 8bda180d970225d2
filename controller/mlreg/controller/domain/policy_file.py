"""Reading a policy file: YAML in, a typed policy out, or an error that names line and key.

What always holds: nothing is taken over silently: what `yaml_file.py` refuses, and a key that is
known but not built, each with its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from mlreg.controller.domain.gates import Gate
from mlreg.controller.domain.policy import Policy, PolicyFrame
from mlreg.controller.domain.triggers import Trigger
from mlreg.controller.domain.yaml_file import InvalidFileError, read_yaml

if TYPE_CHECKING:
    from mlreg.controller.domain.yaml_file import YamlFile

Part = TypeVar("Part", bound=BaseModel)
NOT_YET: Mapping[tuple[str, ...], str] = {
    ("rollout", "steps"): "rollout steps",
    ("rollout", "ab"): "A/B rollouts",
    ("rollout", "bandit"): "bandit rollouts",
    ("approval",): "approvals",
    ("notify",): "notifications",
}
"""Keys of the language that no code stands behind yet."""


MOST_PARTS: Mapping[str, int] = {"triggers": 100, "gates": 50, "guards": 20}
"""How long a list of the policy may be: each part costs at every look."""


class InvalidPolicyError(InvalidFileError):
    """The policy file does not say something that mlreg can do."""

    code = "invalid_policy"
    hint = "See docs/reference/policy.md for the keys."
    file = "a policy file"
    largest = 2**53 - 1  # beyond it JSON readers disagree, and the audit log hashes JSON (RFC 8785)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The plugins that a policy may name, by the key that names them."""

    triggers: Mapping[str, type[Trigger]]
    gates: Mapping[str, type[Gate]]


def read_policy(text: str, kinds: Kinds) -> Policy:
    """Return the policy that the YAML text declares.

    Raises:
        InvalidPolicyError: with every problem found, each with its line and key.
    """
    file = read_yaml(text, InvalidPolicyError)
    problems = [*_not_yet(file), *_too_many(file)]
    if problems:
        raise InvalidPolicyError(problems=problems)
    triggers = [one for _, one in file.parts("triggers", kinds.triggers, problems)]
    gates = [one for _, one in file.parts("gates", kinds.gates, problems)]
    rest = {key: value for key, value in file.document.items() if key not in {"triggers", "gates"}}
    frame = file.part(PolicyFrame, rest, (), problems, also=Policy.model_fields)
    if frame is None or problems:
        raise InvalidPolicyError(problems=problems)
    policy = _whole(frame, triggers, gates, said=set(file.document))
    problems = _problems_of_whole(policy, file)
    if problems:
        raise InvalidPolicyError(problems=problems)
    return policy


def read_written_policy(text: str, kinds: Kinds) -> Policy:
    """Return the policy of the JSON that `Policy.to_json` returned.

    Raises:
        InvalidPolicyError: it names a trigger or a gate that is not installed here.
        ValidationError: it is no such JSON.
    """
    form: dict[str, Any] = json.loads(text, parse_int=_written_number)
    triggers = [_written_part(one, kinds.triggers) for one in form.pop("triggers")]
    gates = [_written_part(one, kinds.gates) for one in form.pop("gates")]
    frame = PolicyFrame.model_validate_json(json.dumps(form), strict=True)
    return _whole(frame, triggers, gates, said=set(Policy.model_fields))


def _written_number(digits: str) -> int | float:
    """Return a number; a whole one beyond those of a policy was a float: JSONB writes 1e300 out."""
    number = int(digits)
    return number if abs(number) <= InvalidPolicyError.largest else float(number)


def _written_part(form: Mapping[str, Any], kinds: Mapping[str, type[Part]]) -> Part:
    kind = next((kind for name, kind in kinds.items() if name in form), None)
    if kind is None:
        problem = f"nothing that is installed here reads {json.dumps(form)[:200]}"
        raise InvalidPolicyError(problems=[problem])
    return kind.model_validate_json(json.dumps(form), strict=True)


def _whole(
    frame: PolicyFrame, triggers: Sequence[Trigger], gates: Sequence[Gate], *, said: set[str]
) -> Policy:
    """Return the policy; its `model_fields_set` are the keys that were said."""
    parts = {name: getattr(frame, name) for name in PolicyFrame.model_fields}
    parts |= {"triggers": tuple(triggers), "gates": tuple(gates)}
    return Policy.model_construct(_fields_set=said, **parts)


def _not_yet(file: YamlFile) -> list[str]:
    """Name what the language knows and no code stands behind yet."""
    problems = [
        f"{file.at(place)}: {what} are not yet supported"
        for place, what in NOT_YET.items()
        if file.value_at(place) is not None
    ]
    guards = file.document.get("guards")
    for index, guard in enumerate(guards if isinstance(guards, list) else ()):
        if _is_about_requests(guard):
            where = file.at(("guards", index))
            problems.append(f"{where}: guards on failed requests are not yet supported")
    return problems


def _too_many(file: YamlFile) -> list[str]:
    lengths = {
        key: len(said) for key in MOST_PARTS if isinstance(said := file.value_at([key]), list)
    }
    return [
        f"{file.at((key,))}: at most {MOST_PARTS[key]}, not {length:,}"
        for key, length in lengths.items()
        if length > MOST_PARTS[key]
    ]


def _is_about_requests(guard: object) -> bool:
    return isinstance(guard, dict) and (guard.get("metric") == "error_rate" or "above" in guard)


def _problems_of_whole(policy: Policy, file: YamlFile) -> list[str]:
    if not policy.triggers:
        return [f"{file.at(('triggers',))}: a policy needs at least one trigger"]
    wanted, declared = policy.combination.at_least, len(policy.triggers)
    if wanted > declared:
        return [f"{file.at(('combine',))}: at_least {wanted} of only {declared} triggers"]
    return []
