"""What people type, as values: `k=v` pairs, small documents, and forms whose errors are lines."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from mlreg.client.errors import InvalidError
from mlreg.client.wire.validation import first_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

F = TypeVar("F", bound=BaseModel)
MAX_DOCUMENT_BYTES = 2**20


def form(kind: type[F], **fields: object) -> F:
    """Return a request made of these fields; None counts as not given.

    Raises:
        InvalidError: a field breaks a rule of form; the message names it.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise InvalidError(first_problem(error), code="invalid_request") from error


def moment(text: str, option: str) -> datetime:
    """Return a time as people type it; without a zone it is UTC.

    Raises:
        InvalidError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        problem = f"{option} {text!r} is no time, such as 2013-07-01 or 2013-07-01T06:00"
        raise InvalidError(problem, code="invalid_option") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def find_moment(text: str | None, option: str) -> datetime | None:
    """Return a time as people type it, None where nothing was typed.

    Raises:
        InvalidError: it is none.
    """
    return moment(text, option) if text else None


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return `k=v` texts as a mapping.

    Raises:
        InvalidError: one has no `=`, no key, or a key that was there before.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key) or key in found:
            problem = f"{option} {text!r} is not KEY=VALUE with a new key"
            raise InvalidError(problem, code="invalid_option")
        found[key] = value
    return found


def numbers(texts: Iterable[str], option: str) -> dict[str, float]:
    """Return `k=1.5` texts as a mapping.

    Raises:
        InvalidError: as `pairs`, or a value is no finite number.
    """
    return {key: _number(value, f"{option} {key}") for key, value in pairs(texts, option).items()}


def scalar(text: str) -> object:
    """Return a text as JSON where it is JSON (`31`, `0.05`, `true`, `[1, 2]`), else as it is."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def document(place: str) -> object:
    """Return a YAML or JSON document from a file, or from standard input if `place` is `-`.

    Raises:
        InvalidError: it is neither, larger than 1 MiB, or YAML without its library.
        OSError: there is no such file.
    """
    if place == "-":
        return _parsed(sys.stdin.read(MAX_DOCUMENT_BYTES + 1), "standard input")
    path = Path(place)
    with path.open(encoding="utf-8", errors="replace") as file:
        return _parsed(file.read(MAX_DOCUMENT_BYTES + 1), place)


def _parsed(text: str, place: str) -> object:
    if len(text) > MAX_DOCUMENT_BYTES:
        raise InvalidError(f"{place} is larger than 1 MiB", code="document_too_large")
    try:
        return json.loads(text)
    except ValueError as error:
        if Path(place).suffix == ".json":
            raise InvalidError(f"{place}: {error}", code="invalid_document") from error
    return _yaml(text, place)


def _yaml(text: str, place: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise InvalidError(
            f"{place} is not JSON, and PyYAML, which reads YAML, is not installed",
            code="no_yaml",
            hint="Write JSON, or `pip install pyyaml`.",
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidError(_yaml_problem(error, place), code="invalid_document") from error


def _yaml_problem(error: Exception, place: str) -> str:
    """Return the line and what is wrong there; PyYAML's own text quotes the file."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = place if mark is None else f"{place}, line {mark.line + 1}"
    return f"{where}: {problem or 'it is no YAML text'}"


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:  # NaN and the infinities
        raise InvalidError(f"{where}: {text!r} is not a finite number", code="invalid_option")
    return value
