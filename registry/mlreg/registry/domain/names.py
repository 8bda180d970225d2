"""Names that people give: models, environments, clients. ASCII only, one form, no paths."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from mlreg.registry.domain.errors import InvalidError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class InvalidNameError(InvalidError):
    """A name that is not `[a-z0-9][a-z0-9._-]{0,62}`."""

    code = "invalid_name"
    hint = "Use 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit."

    def __init__(self, *, kind: str, name: str) -> None:
        super().__init__(f"{name[:80]!r} is not a valid {kind} name")


def checked_name(name: str, *, kind: str = "model") -> str:
    """Return the name unchanged.

    Raises:
        InvalidNameError: it is not `[a-z0-9][a-z0-9._-]{0,62}`.
    """
    if NAME.fullmatch(name) is None:
        raise InvalidNameError(kind=kind, name=name)
    return name


def _of_form(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise ValueError(InvalidNameError.hint)
    return name


Name = Annotated[
    str,
    AfterValidator(_of_form),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"}),
]
"""A name in a typed file (a policy, connections, targets): of any other it says how one looks."""
