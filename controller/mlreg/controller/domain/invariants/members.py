"""`in_set`: a value is one of a few."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, field_validator
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import Column, ColumnType, RowInvariant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.controller.domain.invariants.rows import Booleans, Rows
    from mlreg.registry.domain.contracts import Dtype

Value = bool | int | float | str
MAX_VALUES = 10_000
SHOWN = 6
_TYPES: Mapping[Dtype, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "category": (str,),
}


class Members(RowInvariant):
    """The feature is one of `values`."""

    kind: ClassVar = "in_set"
    in_set: Column
    values: tuple[Value, ...] = Field(min_length=1, max_length=MAX_VALUES)

    @field_validator("values")
    @classmethod
    def _each_once(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        seen = [(isinstance(value, bool), value) for value in values]
        if len(set(seen)) < len(seen):
            message = "a value is there twice"
            raise ValueError(message)
        return values

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.in_set,)

    @property
    @override
    def rule(self) -> str:
        shown = ", ".join(map(str, self.values[:SHOWN]))
        more = ", …" if len(self.values) > SHOWN else ""
        return f"{self.in_set} is one of {shown}{more}"

    @override
    def misfits(self, columns: Mapping[str, ColumnType]) -> Iterator[str]:
        yield from super().misfits(columns)
        found = columns.get(self.in_set)
        if found is None:
            return
        for value in self.values:
            fits = isinstance(value, _TYPES[found.dtype])
            if not fits or (isinstance(value, bool) and found.dtype != "bool"):
                yield f"{value!r} is no {found.dtype}, as {self.in_set!r} is"
            elif found.categories is not None and value not in found.categories:
                yield f"{value!r} is not one of the categories of {self.in_set!r}"

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        if not isinstance(self.values[0], str):
            column = rows.numbers(self.in_set)
            return column.known.copy(), ~np.isin(column.values, np.array(self.values))
        codes = rows.codes(self.in_set)
        wanted = set(self.values)
        strange = [value not in wanted for value in codes.distinct.to_pylist()]
        return codes.known, np.array([*strange, False])[codes.codes]
