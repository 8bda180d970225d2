"""`mlreg version reproduce`: rebuild a version from its record, and say where the two part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.output import progress, show, warn
from mlreg.cli.session import open_client
from mlreg.client.errors import IntegrityError, InvalidError, RefusedError
from mlreg.client.states import became

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.client.client import Client
    from mlreg.client.wire.attestations import (
        AttestationAnswer,
        FindingAnswer,
        PartingAnswer,
        ReproductionAnswer,
    )
    from mlreg.client.wire.versions import VersionAnswer

SHORT = 19
"""`sha256:` and twelve digits."""
MAX_VALUE = 24


def reproduce(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights, or flights/12.")],
    version: Annotated[int | None, typer.Argument(help="The version's number.", min=1)] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Rebuild its parents too, from the full one on.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end and exit by it.")] = False,
) -> None:
    """Rebuild a version; with --wait exit 8 when it differs, 1 when it cannot be rebuilt."""
    name, number = _named(model, version)
    with open_client() as client:
        found = client.reproductions.request(name, number, deep=deep)
        if wait:
            found = _waited(client, found)
    asked = f"reproduction {found.number} of {name}/{number} {became(found.state)}"
    if found.finding is None:
        show(found, text=asked)
        return
    show(found, text="\n".join(_lines(found.model, found.finding)))
    _end(name, found.finding)


def attested(version: VersionAnswer) -> Iterator[tuple[str, str]]:
    """Yield what was attested of a version as facts for people, each once, the newest first."""
    found: dict[tuple[str, str, str, bool], list[AttestationAnswer]] = {}
    for one in version.attestations or ():
        deep = bool(one.body.get("deep"))
        found.setdefault((one.kind, one.outcome, one.reason, deep), []).append(one)
    for (kind, outcome, reason, deep), same in found.items():
        said = f"{kind}{' --deep' if deep else ''}: {outcome.replace('_', ' ')}"
        times = f", {len(same)} times" if len(same) > 1 else ""
        because = f": {reason}" if reason else ""
        yield ("attested", f"{said}, {same[0].at:%Y-%m-%d} by {same[0].actor}{times}{because}")


def _named(model: str, version: int | None) -> tuple[str, int]:
    name, slash, digits = model.partition("/")
    if version is None and slash and digits.isascii() and digits.isdigit():
        return name, int(digits)
    if version is None or slash:
        raise InvalidError(
            f"{model!r} names no one version",
            code="invalid_reference",
            hint="Write MODEL VERSION, or MODEL/VERSION.",
        )
    return name, version


def _waited(client: Client, asked: ReproductionAnswer) -> ReproductionAnswer:
    with progress(f"reproducing {asked.model}/{asked.version}", None) as advance:
        return client.reproductions.wait(asked.number, each=_teller(advance))


def _teller(advance: Callable[[float], None]) -> Callable[[ReproductionAnswer], None]:
    """Return what tells each step of a chain once, where nobody sees a bar."""
    told: set[int] = set()

    def tell(seen: ReproductionAnswer) -> None:
        advance(0)
        if seen.of > 1 and seen.step and seen.done not in told:
            told.add(seen.done)
            warn(f"{seen.step.partition(':')[0]} ({seen.done + 1} of {seen.of})")

    return tell


def _lines(model: str, finding: FindingAnswer) -> Iterator[str]:
    yield f"{model}/{finding.version}: {finding.outcome.replace('_', ' ')}"
    if finding.comparison is not None:
        ours, theirs = finding.comparison.trees
        count = f"{ours} trees" if ours == theirs else f"{ours} trees, the rebuild {theirs}"
        yield f"  registered  {finding.comparison.registered[:SHORT]}  {count}"
        same = "  byte for byte" if finding.comparison.same_bytes else ""
        yield f"  rebuilt     {finding.comparison.rebuilt[:SHORT]}{same}"
    if finding.reason:
        yield f"  {finding.reason}"
    for parting in finding.partings:
        yield f"  {parting.where:<10}  {_spell(parting)}"
    for ancestor in finding.ancestors:
        outcome = ancestor.outcome.replace("_", " ")
        yield f"  ancestor    {model}/{ancestor.version}: {outcome}"


def _spell(parting: PartingAnswer) -> str:
    if parting.registered is None and parting.rebuilt is None:
        return parting.what
    return f"{parting.what}: {_short(parting.registered)} -> {_short(parting.rebuilt)}"


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."


def _end(model: str, finding: FindingAnswer) -> None:
    """Return when it is identical.

    Raises:
        IntegrityError: it differs.
        RefusedError: it cannot be rebuilt.
    """
    named = f"{model}/{finding.version}"
    if finding.outcome == "differs":
        raise IntegrityError(f"{named} differs: {finding.reason}", code="reproduction_differs")
    if finding.outcome == "not_reproducible":
        raise RefusedError(
            f"{named} is not reproducible: {finding.reason}", code="not_reproducible"
        )
