"""How many triggers must hold for a firing: `any`, `all`, or `{at_least: 2, within: 3d}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from mlreg.controller.domain.durations import Duration, spell_duration
from mlreg.controller.domain.policy_part import also_written
from mlreg.controller.domain.triggers import Combination

WORDS = ("any", "all")


class Combine(BaseModel):
    """How triggers combine; a firing always needs one that holds at this very moment.

    `within`: how long one that held counts for the others; unless it says, a day, and a week for a
    trigger of time.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra=also_written({"enum": list(WORDS)})
    )

    at_least: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    within: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file says
        if value == "any":
            return {}
        if value == "all":
            return {"at_least": "all"}
        if isinstance(value, dict) and "at_least" in value:
            return value
        if value == {} or isinstance(value, Combine):
            return value
        message = "combine is any, all or {at_least: n, within: 3d} with n of 1 or more"
        raise ValueError(message)

    @model_serializer(mode="plain")
    def _spell(self) -> str | dict[str, Any]:
        if self.within is None and self.at_least in {1, "all"}:
            return "any" if self.at_least == 1 else "all"
        within = {} if self.within is None else {"within": spell_duration(self.within)}
        return {"at_least": self.at_least, **within}

    def of(self, declared: int) -> Combination:
        """Return the rule for so many triggers."""
        at_least = declared if self.at_least == "all" else self.at_least
        return Combination(at_least, declared, self.within)
