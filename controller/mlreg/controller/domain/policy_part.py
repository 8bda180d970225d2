"""What every part of the policy file is: declared keys, nothing else, unchanged after reading."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from mlreg.registry.domain.names import NAME, InvalidNameError


def _checked_name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise ValueError(InvalidNameError.hint)
    return name


Name = Annotated[str, AfterValidator(_checked_name)]


class PolicyPart(BaseModel):
    """A part of the policy file: every key is declared, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
