"""References: `flights`, `flights/12`, `flights@champion`, `flights@champion:staging`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from typing_extensions import override

from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.names import checked_name

PRODUCTION = "production"
MAX_NUMBER = 2**31 - 1
_FORM = re.compile(
    r"(?P<model>[^/@:]+)(?:/(?P<number>[0-9]{1,10})|@champion(?::(?P<env>[^/@:]+))?)?"
)


class InvalidReferenceError(InvalidError):
    """A text that names no model or version."""

    code = "invalid_reference"
    hint = "Write MODEL, MODEL/NUMBER, MODEL@champion or MODEL@champion:ENVIRONMENT."

    def __init__(self, *, reference: str) -> None:
        super().__init__(f"{reference[:120]!r} is not a reference")


class VersionNeededError(InvalidError):
    """A reference names a model where a version is needed."""

    code = "version_needed"
    hint = "Write MODEL/NUMBER or MODEL@champion."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"{model!r} names a model, not a version of it")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference.

    Attributes:
        number: the version it names, or None.
        environment: where the champion is looked up, if it names a champion; else None.
    """

    model: str
    number: int | None = None
    environment: str | None = None

    @override
    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.model}/{self.number}"
        if self.environment is None:
            return self.model
        place = "" if self.environment == PRODUCTION else f":{self.environment}"
        return f"{self.model}@champion{place}"


def parse_reference(reference: str) -> Reference:
    """Read a reference.

    Raises:
        InvalidReferenceError: it has none of the four forms.
        InvalidNameError: a name in it is none.
    """
    match = _FORM.fullmatch(reference)
    if match is None:
        raise InvalidReferenceError(reference=reference)
    model = checked_name(match["model"])
    if match["number"] is not None:
        number = int(match["number"])
        if not 0 < number <= MAX_NUMBER:
            raise InvalidReferenceError(reference=reference)
        return Reference(model=model, number=number)
    if "@" not in reference:
        return Reference(model=model)
    environment = checked_name(match["env"] or PRODUCTION, kind="environment")
    return Reference(model=model, environment=environment)
