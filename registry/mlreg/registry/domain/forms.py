"""Reading JSON forms of contracts: typed values, or an error that names the place.

Every reader raises `InvalidContractError`; `where` is how its message begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlreg.registry.domain.errors import InvalidError

Json = bool | int | float | str | None | Sequence["Json"] | Mapping[str, "Json"]


class InvalidContractError(InvalidError):
    """A schema or contract breaks a rule; the message names the column."""

    code = "invalid_contract"

    def __init__(self, *, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def mapping(form: object, *, where: str, keys: frozenset[str]) -> Mapping[str, object]:
    """Return a mapping of known keys."""
    if not isinstance(form, Mapping):
        raise InvalidContractError(where=where, problem="it must be a mapping")
    unknown = sorted(str(key) for key in form if key not in keys)
    if unknown:
        raise InvalidContractError(where=where, problem=f"unknown key {unknown[0]!r}")
    return form


def text(value: object, *, where: str, key: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise InvalidContractError(where=where, problem=f"{key} must be text")
    return value


def texts(value: object, *, where: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidContractError(where=where, problem="a list of texts is needed")
    return tuple(text(item, where=where, key="each category or class") for item in value)


def flag(value: object, *, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise InvalidContractError(where=where, problem="at_risk must be true or false")
    return value


def optional_text(fields: Mapping[str, object], key: str, where: str) -> str | None:
    """Return the text under a key, None for null or nothing."""
    value = fields.get(key)
    return None if value is None else text(value, where=where, key=key)


def check_rules(where: str, rules: Iterable[tuple[bool, str]]) -> None:
    """Raise the problem of the first rule that does not hold."""
    for holds, problem in rules:
        if not holds:
            raise InvalidContractError(where=where, problem=problem)
