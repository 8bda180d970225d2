"""Reading a policy file: YAML in, a typed policy out, or an error that names line and key.

What always holds: nothing is taken over silently: an unknown key, a key given twice, an alias, a
value of another type, a key that is known but not built: each is named with its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlreg.controller.domain.gates import Gate
from mlreg.controller.domain.policy import Policy, PolicyFrame
from mlreg.controller.domain.triggers import Trigger
from mlreg.registry.domain.errors import InvalidError

MAX_BYTES = 65_536
MAX_DEPTH = 12
SHOWN_PROBLEMS = 5
Location = tuple[str | int, ...]
Part = TypeVar("Part", bound=BaseModel)

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


class InvalidPolicyError(InvalidError):
    """The policy file does not say something that mlreg can do."""

    code = "invalid_policy"
    hint = "See docs/reference/policy.md for the keys."

    def __init__(self, *, problems: Sequence[str]) -> None:
        shown = "; ".join(problems[:SHOWN_PROBLEMS])
        more = len(problems) - SHOWN_PROBLEMS
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))
        self.problems = tuple(problems)


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
    root = _compose(text)
    document = _plain(root, ())
    problems = _not_yet(document, root)
    if problems:
        raise InvalidPolicyError(problems=problems)
    triggers = _read_list(document, root, "triggers", kinds.triggers, problems)
    gates = _read_list(document, root, "gates", kinds.gates, problems)
    rest = {key: value for key, value in document.items() if key not in {"triggers", "gates"}}
    frame = _validated(PolicyFrame, rest, root, (), problems)
    if frame is None or problems:
        raise InvalidPolicyError(problems=problems)
    _check_whole(frame, triggers, root, problems)
    if problems:
        raise InvalidPolicyError(problems=problems)
    parts = {name: getattr(frame, name) for name in PolicyFrame.model_fields}
    return Policy.model_construct(**parts, triggers=tuple(triggers), gates=tuple(gates))


def _compose(text: str) -> yaml.MappingNode:
    if len(text.encode()) > MAX_BYTES:
        raise InvalidPolicyError(problems=[f"a policy file has at most {MAX_BYTES} bytes"])
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InvalidPolicyError(problems=[_yaml_problem(error)]) from error
    if not isinstance(root, yaml.MappingNode):
        raise InvalidPolicyError(problems=["a policy file is a mapping, beginning with `model:`"])
    return root


def _check_events(text: str) -> None:
    """Refuse aliases, and nesting before the parser pays for it (it is quadratic in the depth)."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise InvalidPolicyError(problems=[f"line {line}: YAML aliases are not supported"])
        if depth > MAX_DEPTH:
            raise InvalidPolicyError(problems=[f"line {line}: nested too deeply"])


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark is not None else f"not YAML: {what}"


def _plain(node: yaml.Node, place: Location) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the node as JSON; keys are unique strings, numbers are finite."""
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, place)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, index)) for index, item in enumerate(node.value)]
    try:
        value = yaml.SafeLoader("").construct_object(node)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        problem = f"{_where(node, place)}: {node.value!r} is no string, number, true or false"
        raise InvalidPolicyError(problems=[problem]) from error
    return value


def _plain_mapping(node: yaml.MappingNode, place: Location) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name in found or not isinstance(key, yaml.ScalarNode) or name == "<<":
            problem = f"{_where(key, (*place, name))}: a key must be a word and be given once"
            raise InvalidPolicyError(problems=[problem])
        found[name] = _plain(value, (*place, name))
    return found


def _not_yet(document: Mapping[str, Any], root: yaml.MappingNode) -> list[str]:
    """Name what the language knows and no code stands behind yet."""
    problems = [
        f"{_at(root, place)}: {what} are not yet supported"
        for place, what in NOT_YET.items()
        if _value_at(document, place) is not None
    ]
    guards = document.get("guards")
    for index, guard in enumerate(guards if isinstance(guards, list) else ()):
        if _is_about_requests(guard):
            where = _at(root, ("guards", index))
            problems.append(f"{where}: guards on failed requests are not yet supported")
    return problems


def _value_at(document: Mapping[str, Any], place: tuple[str, ...]) -> object:
    value: Any = document
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_about_requests(guard: object) -> bool:
    return isinstance(guard, dict) and (guard.get("metric") == "error_rate" or "above" in guard)


def _read_list(
    document: Mapping[str, Any],
    root: yaml.MappingNode,
    section: str,
    kinds: Mapping[str, type[Any]],
    problems: list[str],
) -> list[Any]:
    items = document.get(section, [])
    if not isinstance(items, list):
        problems.append(f"{_at(root, (section,))}: must be a list")
        return []
    found = []
    for index, item in enumerate(items):
        place: Location = (section, index)
        named = [kind for kind in kinds if isinstance(item, dict) and kind in item]
        if len(named) != 1:
            known = ", ".join(sorted(kinds))
            problems.append(f"{_at(root, place)}: must have exactly one of the keys {known}")
            continue
        one = _validated(kinds[named[0]], item, root, place, problems)
        if one is not None:
            found.append(one)
    return found


def _validated(
    kind: type[Part],
    content: object,
    root: yaml.MappingNode,
    place: Location,
    problems: list[str],
) -> Part | None:
    try:
        return kind.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        problems.extend(_problems_of(error, root, place))
        return None


def _problems_of(error: ValidationError, root: yaml.MappingNode, place: Location) -> list[str]:
    """Return one line per place: a union complains once for each of its members."""
    by_place: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False):
        where = _at(root, (*place, *problem["loc"]))
        what = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        by_place.setdefault(where, what)
    return [f"{where}: {what}" for where, what in by_place.items()]


_WORDS = {"extra_forbidden": "unknown key", "missing": "this key is required"}


def _check_whole(
    frame: PolicyFrame, triggers: Sequence[Trigger], root: yaml.MappingNode, problems: list[str]
) -> None:
    if not triggers:
        problems.append("a policy needs at least one trigger")
    if isinstance(frame.combine, int) and frame.combine > len(triggers):
        where = _at(root, ("combine",))
        problems.append(f"{where}: at_least {frame.combine} of only {len(triggers)} triggers")


def _at(root: yaml.Node, place: Location) -> str:
    """Return `line 7: triggers[0].drift` for the deepest part of the place that is there."""
    node, line, spelt = root, root.start_mark.line, ""
    for step in place:
        found = _child(node, step)
        if found is None:
            spelt += f".{step}" if isinstance(step, str) and step.isidentifier() else ""
            break
        line, node = found
        spelt += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"line {line + 1}: {spelt.lstrip('.')}" if spelt else f"line {line + 1}"


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    return None


def _where(node: yaml.Node, place: Location) -> str:
    spelt = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return f"line {node.start_mark.line + 1}: {spelt.lstrip('.')}"
