"""Reading a policy file: YAML in, a typed policy out, or an error that names line and key.

What always holds: nothing is taken over silently: what `yaml_file.py` refuses, and a key that is
known but not built, each with its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.gates import Gate
from mlreg.controller.domain.policy import Policy, PolicyFrame
from mlreg.controller.domain.triggers import Trigger
from mlreg.controller.domain.yaml_file import InvalidFileError, read_yaml

if TYPE_CHECKING:
    from mlreg.controller.domain.yaml_file import YamlFile

NOT_YET: Mapping[tuple[str, ...], str] = {
    ("rollout", "steps"): "rollout steps",
    ("rollout", "ab"): "A/B rollouts",
    ("rollout", "bandit"): "bandit rollouts",
    ("approval",): "approvals",
    ("notify",): "notifications",
    ("retrain", "executor"): "other executors",
    ("data", "select"): "data selection by change point",
}
"""Keys of the language that no code stands behind yet."""


class InvalidPolicyError(InvalidFileError):
    """The policy file does not say something that mlreg can do."""

    code = "invalid_policy"
    hint = "See docs/reference/policy.md for the keys."
    file = "a policy file"


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
    problems = _not_yet(file)
    if problems:
        raise InvalidPolicyError(problems=problems)
    triggers = [one for _, one in file.parts("triggers", kinds.triggers, problems)]
    gates = [one for _, one in file.parts("gates", kinds.gates, problems)]
    rest = {key: value for key, value in file.document.items() if key not in {"triggers", "gates"}}
    frame = file.part(PolicyFrame, rest, (), problems)
    if frame is None or problems:
        raise InvalidPolicyError(problems=problems)
    _check_whole(frame, triggers, file, problems)
    if problems:
        raise InvalidPolicyError(problems=problems)
    parts = {name: getattr(frame, name) for name in PolicyFrame.model_fields}
    return Policy.model_construct(**parts, triggers=tuple(triggers), gates=tuple(gates))


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


def _is_about_requests(guard: object) -> bool:
    return isinstance(guard, dict) and (guard.get("metric") == "error_rate" or "above" in guard)


def _check_whole(
    frame: PolicyFrame, triggers: Sequence[Trigger], file: YamlFile, problems: list[str]
) -> None:
    if not triggers:
        problems.append("a policy needs at least one trigger")
    if isinstance(frame.combine, int) and frame.combine > len(triggers):
        where = file.at(("combine",))
        problems.append(f"{where}: at_least {frame.combine} of only {len(triggers)} triggers")
