"""YAML that people declare things in, read so that every problem names its line and key.

What always holds: nothing is taken over silently: an unknown key, a key given twice, an alias, a
value of another type: each is named with its line; parts are read by pydantic models, whose fields
are the keys of the language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlreg.registry.domain.errors import InvalidError

MAX_BYTES = 65_536
MAX_DEPTH = 12
SHOWN_PROBLEMS = 5
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_NO_VALUE = "is no string, number, true or false"
Location = tuple[str | int, ...]
Part = TypeVar("Part", bound=BaseModel)


class InvalidFileError(InvalidError):
    """A file does not say something that mlreg can do; a subclass for each kind of file.

    Attributes:
        file: what such a file is called.
        problems: all that were found, each with its line and key.
    """

    file: ClassVar[str] = "a file"

    def __init__(self, *, problems: Sequence[str]) -> None:
        shown = "; ".join(problems[:SHOWN_PROBLEMS])
        more = len(problems) - SHOWN_PROBLEMS
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file that is a mapping: its content, and where each part of it stands."""

    root: yaml.MappingNode
    document: Mapping[str, Any]

    def at(self, place: Location) -> str:
        """Return `line 7: triggers[0].drift` for the deepest part of the place that is there."""
        node: yaml.Node = self.root
        line, spelt = node.start_mark.line, ""
        for step in place:
            found = _child(node, step)
            if found is None:
                spelt += f".{step}" if isinstance(step, str) and step.isidentifier() else ""
                break
            line, node = found
            spelt += f"[{step}]" if isinstance(step, int) else f".{step}"
        return f"line {line + 1}: {spelt.lstrip('.')}" if spelt else f"line {line + 1}"

    def value_at(self, place: Sequence[str]) -> object:
        """Return what stands at a place, None if nothing does."""
        value: Any = self.document
        for key in place:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def part(
        self, kind: type[Part], content: object, place: Location, problems: list[str]
    ) -> Part | None:
        """Return some content as a part; None if it is none, then its problems are added."""
        try:
            return kind.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            problems.extend(self._problems_of(error, place))
            return None

    def parts(
        self, section: str, kinds: Mapping[str, type[Any]], problems: list[str]
    ) -> list[tuple[int, Any]]:
        """Return the parts of a list with their places in it; each has exactly one of the keys."""
        items = self.document.get(section, [])
        if not isinstance(items, list):
            problems.append(f"{self.at((section,))}: must be a list")
            return []
        found = []
        for index, item in enumerate(items):
            place: Location = (section, index)
            named = [kind for kind in kinds if isinstance(item, dict) and kind in item]
            if len(named) != 1:
                known = ", ".join(sorted(kinds))
                problems.append(f"{self.at(place)}: must have exactly one of the keys {known}")
                continue
            one = self.part(kinds[named[0]], item, place, problems)
            if one is not None:
                found.append((index, one))
        return found

    def _problems_of(self, error: ValidationError, place: Location) -> list[str]:
        """Return one line per place: a union complains once for each of its members."""
        by_place: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_context=False):
            where = self.at((*place, *problem["loc"]))
            what = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            by_place.setdefault(where, what)
        return [f"{where}: {what}" for where, what in by_place.items()]


def read_yaml(text: str, error: type[InvalidFileError]) -> YamlFile:
    """Return the file that a text is.

    Raises:
        InvalidFileError: of the given kind; the text is no mapping of plain keys and values.
    """
    root = _compose(text, error)
    return YamlFile(root, _plain(root, (), error))


def _compose(text: str, error: type[InvalidFileError]) -> yaml.MappingNode:
    if len(text.encode()) > MAX_BYTES:
        raise error(problems=[f"{error.file} has at most {MAX_BYTES} bytes"])
    try:
        _check_events(text, error)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as cause:
        raise error(problems=[_yaml_problem(cause)]) from cause
    if not isinstance(root, yaml.MappingNode):
        raise error(problems=[f"{error.file} is a mapping, beginning with `model:`"])
    return root


def _check_events(text: str, error: type[InvalidFileError]) -> None:
    """Refuse aliases, and nesting before the parser pays for it (it is quadratic in the depth)."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise error(problems=[f"line {line}: YAML aliases are not supported"])
        if depth > MAX_DEPTH:
            raise error(problems=[f"line {line}: nested too deeply"])


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark is not None else f"not YAML: {what}"


def _plain(node: yaml.Node, place: Location, error: type[InvalidFileError]) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the node as JSON; keys are unique strings, numbers are finite."""
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, place, error)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, index), error) for index, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except (ValueError, TypeError, yaml.YAMLError) as cause:
        what = str(cause) if isinstance(cause, _AmbiguousError) else _NO_VALUE
        problem = f"{_where(node, place)}: {str(node.value)[:80]!r} {what}"
        raise error(problems=[problem]) from cause


class _AmbiguousError(ValueError):
    """YAML 1.1 reads it as something that hardly anybody means, and YAML 1.2 as another thing."""


def _scalar(node: yaml.Node) -> object:
    """Return a scalar; one that editors (YAML 1.2) read as something else than PyYAML is none."""
    value = yaml.SafeLoader("").construct_object(node)
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    if is_plain and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)  # 1e-3: to YAML 1.1 a text
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    if is_plain and not _is_spelt_so(value, node.value):
        shown = json.dumps(value)
        message = f"means {shown} in YAML: write that, or put it in quotes"
        raise _AmbiguousError(message)
    return value


def _is_spelt_so(value: object, text: str) -> bool:
    """Whether YAML 1.2 reads it so too: no is a word there, 010 is ten, 12:30 is a text."""
    if isinstance(value, bool):
        return text.lower() in {"true", "false"}
    return not isinstance(value, int | float) or _NUMBER.fullmatch(text) is not None


def _plain_mapping(
    node: yaml.MappingNode, place: Location, error: type[InvalidFileError]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name in found or not isinstance(key, yaml.ScalarNode) or name == "<<":
            problem = f"{_where(key, (*place, name))}: a key must be a word and be given once"
            raise error(problems=[problem])
        found[name] = _plain(value, (*place, name), error)
    return found


_WORDS = {"extra_forbidden": "unknown key", "missing": "this key is required"}


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
