"""Kinds of a part of the policy that others install: each is loaded, or stands in for itself.

What always holds: one that cannot be loaded takes nothing away from the others: what names it is
refused, with the cause and who has to mend it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, create_model, model_validator

from mlreg.client.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

Part = TypeVar("Part", bound=BaseModel)


def load_kinds(points: Iterable[EntryPoint], base: type[Part]) -> dict[str, type[Part]]:
    """Return the kinds that these entry points are of, by name.

    Args:
        points: of one group.
        base: what each of them has to derive from.
    """
    return {point.name: _load(point, base) for point in points}


def broken_line(point: EntryPoint, cause: str) -> str:
    """Say that something of others cannot be loaded, whose it is, and why."""
    by = "" if point.dist is None else f" of the package {point.dist.name} {point.dist.version}"
    return f"{point.name!r}{by} is installed and cannot be loaded ({cause})"


def _load(point: EntryPoint, base: type[Part]) -> type[Part]:
    errors: list[Exception] = []
    with Edge(errors.append):  # whatever another's module does as it is imported
        found = point.load()
        if not (isinstance(found, type) and issubclass(found, base)):
            return _broken(point, base, f"{point.value} is no {base.__name__}")
        return found
    return _broken(point, base, f"{type(errors[0]).__name__}: {errors[0]}")


def _broken(point: EntryPoint, base: type[Part], cause: str) -> type[Part]:
    """Return a kind that is none of anything: reading it tells why."""
    message = broken_line(point, cause)

    def refuse(_form: Any) -> Any:  # noqa: ANN401 - whatever the file says
        raise ValueError(message)

    refusing = cast("Any", {"refuse": model_validator(mode="before")(refuse)})
    made = create_model(f"Broken{base.__name__}", __base__=base, __validators__=refusing)
    made.kind = point.name  # type: ignore[attr-defined]
    return made
