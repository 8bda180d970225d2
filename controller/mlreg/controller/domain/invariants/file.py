"""Reading a file of invariants: YAML in, typed invariants out, or an error with line and key.

What always holds: names are given once; no two invariants contradict each other; once checked
against a model's columns, each can be checked on its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.invariants.contradictions import contradictions
from mlreg.controller.domain.invariants.invariant import ColumnType, Invariant
from mlreg.controller.domain.invariants.kinds import KINDS
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.yaml_file import InvalidFileError, YamlFile, read_yaml
from mlreg.registry.domain.names import Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.registry.domain.contracts import FeatureSchema

SECTION = "invariants"
MAX_INVARIANTS = 200
ENTITY = "entity"


class InvalidInvariantsError(InvalidFileError):
    """The file does not declare invariants that mlreg can check."""

    code = "invalid_invariants"
    hint = "See docs/reference/invariants.md for the kinds and their keys."
    file = "a file of invariants"


class _Frame(PolicyPart):
    """The file without its list."""

    model: Name


@dataclass(frozen=True, slots=True)
class InvariantFile:
    """A file that was read; `places` say where in its list each invariant stands."""

    model: str
    invariants: tuple[Invariant, ...]
    places: tuple[int, ...]
    yaml: YamlFile

    def check_columns(self, columns: Mapping[str, ColumnType]) -> None:
        """Check that each invariant can be checked on rows with these columns.

        Raises:
            InvalidInvariantsError: a feature is unknown or of another type; names the line.
        """
        problems = [
            f"{self.yaml.at((SECTION, place))}: {problem}"
            for place, invariant in zip(self.places, self.invariants, strict=True)
            for problem in invariant.misfits(columns)
        ]
        if problems:
            raise InvalidInvariantsError(problems=problems)


def read_invariants(text: str) -> InvariantFile:
    """Return the invariants that a YAML text declares.

    Raises:
        InvalidInvariantsError: with every problem found, each with its line and key.
    """
    yaml = read_yaml(text, InvalidInvariantsError)
    problems: list[str] = []
    rest = {key: value for key, value in yaml.document.items() if key != SECTION}
    frame = yaml.part(_Frame, rest, (), problems)
    if SECTION not in yaml.document:
        problems.append(f"{yaml.at((SECTION,))}: this key is required; [] declares none")
    found = yaml.parts(SECTION, KINDS, problems)
    if len(found) > MAX_INVARIANTS:
        problems.append(f"{yaml.at((SECTION,))}: at most {MAX_INVARIANTS} invariants")
    if frame is None or problems:
        raise InvalidInvariantsError(problems=problems)
    places, invariants = tuple(place for place, _ in found), tuple(one for _, one in found)
    problems = [*_named_twice(yaml, places, invariants), *_at_odds(yaml, places, invariants)]
    if problems:
        raise InvalidInvariantsError(problems=problems)
    return InvariantFile(frame.model, invariants, places, yaml)


def columns_of(schema: FeatureSchema) -> dict[str, ColumnType]:
    """Return the columns that invariants of a model may name: its features, and the entity."""
    features = {one.name: ColumnType(one.dtype, one.categories) for one in schema.features}
    return {**features, ENTITY: ColumnType("category")}


def _named_twice(
    yaml: YamlFile, places: Sequence[int], invariants: Sequence[Invariant]
) -> list[str]:
    seen: set[str] = set()
    problems = []
    for place, invariant in zip(places, invariants, strict=True):
        if invariant.name in seen:
            where = yaml.at((SECTION, place, "name"))
            problems.append(f"{where}: {invariant.name} is there twice")
        seen.add(invariant.name)
    return problems


def _at_odds(yaml: YamlFile, places: Sequence[int], invariants: Sequence[Invariant]) -> list[str]:
    return [
        f"{yaml.at((SECTION, places[later]))}: {invariants[later].name} ({invariants[later].rule})"
        f" contradicts {invariants[earlier].name} ({invariants[earlier].rule})"
        for earlier, later in contradictions(invariants)
    ]
