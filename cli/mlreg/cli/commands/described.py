"""A version as `mlreg version show` prints it: every fact on its line, curves as sparklines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.commands.reproduction import attested
from mlreg.cli.tables import Table, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlreg.client.wire.signing import SignatureAnswer
    from mlreg.client.wire.versions import (
        CurveAnswer,
        SearchTableAnswer,
        StageAnswer,
        VersionAnswer,
    )

WIDTH = 80
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 32
SHOWN_TRIALS = 10
Fact = tuple[str, object]


def described(
    version: VersionAnswer, stage: StageAnswer | None, signatures: Sequence[SignatureAnswer] = ()
) -> str:
    """Return a version with all its provenance, and what can be shown of its stage."""
    facts = [*_origin(version), *_inputs(version), *_results(version)]
    facts += [*_signed(signatures), *_files(version)]
    lines = [f"{version.model}/{version.number}" + ("  ARCHIVED" if version.archived_at else "")]
    lines += [f"{name:<11} {fact}" for name, fact in facts if fact not in {None, ""}]
    return "\n".join([*lines, *(_shown(stage) if stage else ())])


def spark(points: Sequence[tuple[float, float]], width: int = SPARK_WIDTH) -> str:
    """Return values over steps as a line of blocks, the least at the bottom."""
    values = [value for _, value in points]
    if len(values) > width:
        values = [values[place * (len(values) - 1) // (width - 1)] for place in range(width)]
    low, high = min(values), max(values)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((value - low) * scale)] for value in values)


def _origin(version: VersionAnswer) -> Iterator[Fact]:
    git, dirty = version.git or {}, ""
    if git.get("dirty"):
        dirty = " (dirty)"
    yield "registered", f"{version.created_at:%Y-%m-%d %H:%M:%S} by {version.created_by}"
    yield "trained by", version.trained_by
    yield "took", _cost(version)
    yield "missing", ", ".join(version.missing)
    yield "kind", version.flavour + (", UNSAFE to load" if version.unsafe else "")
    yield "trainer", version.trainer
    yield "lane", version.lane
    yield "parent", version.parent
    yield "chain", " → ".join(map(str, version.chain or ())) if version.parent else None
    yield "run", version.run_id
    yield "imported", _imported(version)
    yield "git", f"{git['commit']}{dirty}  {git.get('remote') or 'no remote'}" if git else None


def _imported(version: VersionAnswer) -> str | None:
    came = version.imported_from
    if came is None:
        return None
    moment = str(came["registered_at"])[:19].replace("T", " ")
    return f"was {came['model']}/{came['number']}, {moment} by {came['registered_by']}"


def _inputs(version: VersionAnswer) -> Iterator[Fact]:
    machine = version.environment or {}
    packages = machine.get("packages")
    named = {str(item["digest"]): item for item in version.data or ()}
    for digest in version.snapshots or ():
        item = named.get(digest)
        yield "data", f"{_part(item)}{digest}" if item else digest
    yield "contract", version.feature_contract
    yield "features", ", ".join(str(feature["name"]) for feature in version.contract or ())
    yield "params", _pairs(version.hyperparameters)
    yield "seeds", _pairs(version.seeds)
    yield "python", machine.get("python")
    yield "platform", machine.get("platform")
    yield "cpu", machine.get("cpu")
    if isinstance(packages, dict):
        yield "packages", f"{len(packages)} (--json lists them)"


def _results(version: VersionAnswer) -> Iterator[Fact]:
    yield "metrics", _pairs(version.metrics)
    yield "tags", _pairs(version.tags)
    yield "what", version.description
    yield from attested(version)


def _signed(signatures: Sequence[SignatureAnswer]) -> Iterator[Fact]:
    """Yield who signed; `mlreg version verify` is what checks it."""
    for one in signatures:
        trust = "" if one.trusted else ", NO LONGER TRUSTED"
        bundle = " (OpenSSF bundle)" if one.kind == "oms" else ""
        yield "signed", f"key {one.key_id} of {one.key_name}{trust}{bundle}"


def _files(version: VersionAnswer) -> Iterator[Fact]:
    yield "artifact", version.manifest
    for file in version.files or ():
        yield "file", f"{file.path}  {file.size} bytes  {file.digest}"
        if file.verified_at is not None:
            yield "", f"{file.state}, last hashed {file.verified_at:%Y-%m-%d %H:%M}"
    for staged in version.stage or ():
        yield "stage", f"{staged.name}  {staged.kind}  {staged.size} bytes"


def _part(item: Mapping[str, object]) -> str:
    """Return what is known of a part of the data, before its digest on the next line."""
    rows = "" if item.get("rows") is None else f", {item['rows']} rows"
    return f"{item['name']} ({item['kind']}{rows})\n{'':<12}"


def _cost(version: VersionAnswer) -> str | None:
    if version.duration_seconds is None:
        return None
    memory = version.peak_memory_bytes
    held = "" if memory is None else f", at most {memory / 2**20:,.0f} MiB of memory"
    return f"{version.duration_seconds:,.1f} s{held}"


def _shown(stage: StageAnswer) -> Iterator[str]:
    if stage.curves:
        yield "\nloss curves"
        yield from _curve_lines(stage.curves)
    for search in stage.searches:
        yield f"\nsearch {search.file}: {search.count} trial{'s' if search.count > 1 else ''}"
        yield from table_lines(_search_table(search))
        if search.count > SHOWN_TRIALS:
            yield f"… the first {SHOWN_TRIALS}; `mlreg version download --stage` has all"
    for name, problem in stage.problems.items():
        yield f"\n{name} cannot be shown: {problem}"


def _curve_lines(curves: Sequence[CurveAnswer]) -> Iterator[str]:
    width = min(max(len(curve.name) for curve in curves), 20)
    for curve in curves:
        name, ends = curve.name[:width], f"{curve.points[0][1]:.4g} → {curve.last:.4g}"
        yield f"  {name:<{width}}  {spark(curve.points)}  {ends}"


def _search_table(search: SearchTableAnswer) -> Table:
    """Return the first trials, with as many columns as a terminal has room for."""
    rows, room, columns = search.rows[:SHOWN_TRIALS], WIDTH, 0
    for place, name in enumerate(search.columns):
        room -= 2 + max([len(name), *(len(row[place]) for row in rows)])
        if room < 0 and columns:
            break
        columns = place + 1
    return Table(search.columns[:columns], [row[:columns] for row in rows])


def _pairs(mapping: Mapping[str, object] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in (mapping or {}).items())
