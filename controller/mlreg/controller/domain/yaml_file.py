"""YAML that people declare things in, read so that every problem names its line and key.

What always holds: nothing is taken over silently: an unknown key, a key given twice, an alias, a
value of another type: each is named with its line; parts are read by pydantic models, whose fields
are the keys of the language.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlreg.controller.domain.known_keys import meant_by
from mlreg.registry.domain.errors import InvalidError

MAX_BYTES = 65_536
MAX_DEPTH = 12
SHOWN_PROBLEMS = 5
TAG = "="
"""What names of forms begin with: they are no keys of the file, so no place is spelt with them."""
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_NO_VALUE = "is no string, number, true or false"
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Control characters, and those that turn the direction of a text: a reader sees another one."""
_LINE = re.compile(r"line ([0-9]+)")
Location = tuple[str | int, ...]
Part = TypeVar("Part", bound=BaseModel)


class InvalidFileError(InvalidError):
    """A file does not say something that mlreg can do; a subclass for each kind of file.

    Attributes:
        file: what such a file is called.
        largest: the largest whole number that it may say.
        problems: all that were found, each with its line and key, in the order of the lines.
    """

    file: ClassVar[str] = "a file"
    largest: ClassVar[int] = 2**63 - 1

    def __init__(self, *, problems: Sequence[str]) -> None:
        problems = sorted(problems, key=_line_of)
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
            spelt += _step(step)
        return f"line {line + 1}: {spelt.lstrip('.')}" if spelt else f"line {line + 1}"

    def whole(self, place: Location) -> str:
        """Return `line 3: data.label_delay`, also where only `data` is there, or nothing."""
        line = self.at(place).partition(":")[0]
        return f"{line}: {''.join(map(_step, place)).lstrip('.')}"

    def value_at(self, place: Sequence[str]) -> object:
        """Return what stands at a place, None if nothing does."""
        value: Any = self.document
        for key in place:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def part(
        self,
        kind: type[Part],
        content: object,
        place: Location,
        problems: list[str],
        also: Collection[str] = (),
    ) -> Part | None:
        """Return some content as a part; None if it is none, then its problems are added.

        `also` are keys beside its own, that are read in another way.
        """
        try:
            return kind.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            problems.extend(self._problems_of(error, place, meant_by(error, kind, also)))
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

    def _problems_of(
        self, error: ValidationError, place: Location, meant: Mapping[Location, str]
    ) -> list[str]:
        """Return one line per place: a union complains once for each of its members."""
        by_place: dict[str, str] = {}
        for problem in error.errors(include_url=False):
            steps = [step for step in problem["loc"] if not str(step).startswith(TAG)]
            where = self.at((*place, *steps))
            words = _WORDS.get(problem["type"], "").format(**problem.get("ctx", {}))
            words = (words or _plainly(problem["msg"])) + meant.get(problem["loc"], "")
            by_place.setdefault(where, words)
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
    said = (getattr(error, "context", None), getattr(error, "problem", None))
    what = ", ".join(filter(None, said)) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark is not None else f"not YAML: {what}"


def _plain(node: yaml.Node, place: Location, error: type[InvalidFileError]) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the node as JSON; keys are unique strings, numbers are finite."""
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, place, error)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, index), error) for index, item in enumerate(node.value)]
    try:
        return _scalar(node, error.largest)
    except (ValueError, TypeError, yaml.YAMLError) as cause:
        what = str(cause) if isinstance(cause, _RefusedValueError) else _NO_VALUE
        problem = f"{_where(node, place)}: {str(node.value)[:80]!r} {what}"
        raise error(problems=[problem]) from cause


class _RefusedValueError(ValueError):
    """A value that PyYAML takes, and that hardly anybody means, or nobody can keep."""


def _scalar(node: yaml.Node, largest: int) -> object:
    """Return a scalar; one that editors (YAML 1.2) read as something else than PyYAML is none."""
    value = yaml.SafeLoader("").construct_object(node)
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    if is_plain and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)  # 1e-3: to YAML 1.1 a text
    message = _refused(value, largest)
    if message:
        raise _RefusedValueError(message)
    json.dumps(value, ensure_ascii=False).encode()
    if is_plain and not _is_spelt_so(value, node.value):
        shown = json.dumps(value)
        message = f"means {shown} in YAML: write that, or put it in quotes"
        raise _RefusedValueError(message)
    return value


def _refused(value: object, largest: int) -> str:
    """Return why a value is not taken though YAML has it; empty where it is."""
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number"
    if isinstance(value, int) and abs(value) > largest:
        return f"is too large: whole numbers go to {largest}"
    if isinstance(value, date):
        return "is a date in YAML: put it in quotes"
    if isinstance(value, str) and _UNSEEN.search(value):
        return "has control or bidirectional characters"
    return ""


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
        if _UNSEEN.search(name):
            problem = f"{_where(key, place)}: the key {name!r} has control characters"
            raise error(problems=[problem])
        if name in found or not isinstance(key, yaml.ScalarNode) or name == "<<":
            problem = f"{_where(key, (*place, name))}: a key must be a word and be given once"
            raise error(problems=[problem])
        found[name] = _plain(value, (*place, name), error)
    return found


_WHOLE, _LIST, _KEYS = "must be a whole number", "must be a list", "must have keys with values"
_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "this key is required",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
"""What pydantic says in the words of Python, by its type of error."""


def _plainly(message: str) -> str:
    """Return what pydantic says without the words that are about itself."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _line_of(problem: str) -> int:
    found = _LINE.match(problem)
    return int(found[1]) if found else 0


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    return None


def _where(node: yaml.Node, place: Location) -> str:
    spelt = "".join(map(_step, place))
    return f"line {node.start_mark.line + 1}: {spelt.lstrip('.')}"
