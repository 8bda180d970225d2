"""What every part of the policy file is: declared keys, nothing else, unchanged after reading."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PolicyPart(BaseModel):
    """A part of the policy file: every key is declared, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
