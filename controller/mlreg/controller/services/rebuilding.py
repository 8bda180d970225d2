"""Rebuilding a version from its record: the same rows, in the same order, by the same trainer.

What always holds: it happens in a child with limits; a parent's bytes are those of its digest, or
those that were just rebuilt; nothing is registered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mlreg.client.scoring.tree_hash import hash_model
from mlreg.controller.domain.commands import CommandNotAllowedError, CommandNotFoundError
from mlreg.controller.domain.connections import ConnectionNotFoundError
from mlreg.controller.domain.losses import SnapshotLostError
from mlreg.controller.domain.reproduction import (
    Finding,
    Parting,
    compare_environment,
    compare_mapping,
    compare_models,
    conclude,
    conclude_files,
)
from mlreg.controller.services.rebuild_record import NotReproducibleError, Record
from mlreg.controller.services.recipe import BINS, PARENT, ROWS, Recipe
from mlreg.controller.services.registering import (
    code_tags,
    environment_here,
    hyperparameters_of,
)
from mlreg.controller.services.run_folder import (
    CONTRACT,
    MODEL,
    ChildCall,
    ChildOverLimitError,
    ChildRefusedError,
    ModelSource,
    call_child,
    files_of,
    place_model,
    write_rows,
)
from mlreg.controller.services.selected_rows import read_training_rows
from mlreg.controller.services.trainer_commands import CommandFileError, seal
from mlreg.controller.services.training import ENTRY, limits_of
from mlreg.controller.sources.errors import SourceFileError
from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import NotAllowedError
from mlreg.registry.services import catalog
from mlreg.registry.store.blobs import CORRUPT, find_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from mlreg.controller.domain.commands import Commands
    from mlreg.controller.domain.lanes import Lane
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.artifacts.store import ArtifactStore

REGISTERED = "registered"
OUT = Path("out")
CHUNK_BYTES = 2**20
_COUNTS = ("rows", "unlabelled", "positives")


Files = Mapping[str, bytes]
"""The files of a model by their paths in the artifact, without its contract."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild said, and the files of the model that it made; None where it made none."""

    finding: Finding
    model: Files | None


class SegmentCorruptError(NotReproducibleError):
    """A segment of the snapshot is not what it was: the data is where the two part."""

    code = "segment_corrupt"


_REFUSALS = (
    *(NotReproducibleError, ChildRefusedError, ChildOverLimitError),
    *(CommandNotFoundError, CommandNotAllowedError, CommandFileError),
)


def rebuild(
    attempt: Attempt,
    folder: Path,
    record: Record,
    parent: Files | None,
    on_lines: Callable[[Sequence[str]], None],
) -> Rebuilt:
    """Rebuild a version in an empty folder and compare it.

    Args:
        attempt: gives store, executor and halt.
        folder: belongs to this rebuild alone.
        record: what to do.
        parent: the parent's model where it was rebuilt too; else its stored bytes are taken.
        on_lines: hears what the child prints.

    Raises:
        ChildCrashedError, StoreUnreachableError, HaltedError: another attempt may go well.
    """
    number = record.version.number
    try:
        answer, made = _train(attempt, folder, record, parent, on_lines)
        registered = _registered(attempt.store, folder, record, made)
    except SegmentCorruptError as error:
        parting = Parting("data", str(error), decisive=True)
        partings = (*record.partings, parting)
        return Rebuilt(Finding(number, "differs", str(error), partings=partings), None)
    except _REFUSALS as error:
        reason = str(error)
        return Rebuilt(Finding(number, "not_reproducible", reason, partings=record.partings), None)
    partings = (*record.partings, *_partings(record, answer))
    return Rebuilt(_compare(record, registered, made, partings), made)


def _compare(
    record: Record, registered: Files, made: Files, partings: Sequence[Parting]
) -> Finding:
    """Compare tree by tree where there are trees, else file by file."""
    number = record.version.number
    if record.source.trainer != "lightgbm":
        ours, theirs = (_digests(files) for files in (registered, made))
        return conclude_files(number, ours, theirs, partings)
    one, other = registered[MODEL], made[MODEL]
    trees = compare_models(hash_model(one), hash_model(other), same_bytes=one == other)
    return conclude(number, trees, partings)


def _digests(files: Files) -> dict[str, str]:
    return {name: digest_of(content) for name, content in files.items()}


def _read(folder: Path) -> Files:
    """Return the files of a model by their paths, without its contract."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / CONTRACT
    }


def _train(
    attempt: Attempt,
    folder: Path,
    record: Record,
    parent: Files | None,
    on_lines: Callable[[Sequence[str]], None],
) -> tuple[dict[str, Any], Files]:
    _check_trained_alone(record)
    write_rows(folder, ROWS, _rows(attempt, record))
    if record.parent is not None:
        _place_parent(attempt.store, folder, record.parent, parent)
    if record.bins is not None:
        (folder / BINS).write_bytes(record.bins)
    limits = limits_of(record.specification.retrain)
    call = ChildCall(ENTRY, _job(record, attempt.commands), on_lines, limits)
    answer = call_child(attempt, folder, call)
    return dict(answer.result), _read(folder / OUT)


def _check_trained_alone(record: Record) -> None:
    """Check that one process trained it: several sum up in another order, and grow other trees.

    Raises:
        NotReproducibleError: several did.
    """
    workers = record.specification.retrain.executor.workers
    if workers > 1 and record.version.lane == "full":
        reason = f"{workers} workers trained it together, and a rebuild has one"
        raise NotReproducibleError(reason=reason)


def _rows(attempt: Attempt, record: Record) -> pa.Table:
    try:
        return read_training_rows(
            attempt.sources, record.model, record.snapshot, record.specification
        )
    except SnapshotLostError as error:
        raise NotReproducibleError(reason=f"its {error}") from error
    except (SourceFileError, NotAllowedError, ConnectionNotFoundError) as error:
        reason = f"its snapshot {record.snapshot.digest} cannot be read: {error}"
        raise NotReproducibleError(reason=reason) from error
    except BlobNotFoundError as error:
        lost = [one for one in record.snapshot.segments if attempt.store.size(one) is None]
        with attempt.database.reading() as session:
            blobs = [find_blob(session, one) for one in lost]
        corrupt = [one.digest for one in blobs if one is not None and one.state == CORRUPT]
        if corrupt:
            raise SegmentCorruptError(reason=_spell("corrupt", corrupt)) from error
        raise NotReproducibleError(reason=_spell("gone", lost)) from error
    except BlobCorruptError as error:
        corrupt = list(_corrupt(attempt.store, record.snapshot.segments))
        raise SegmentCorruptError(reason=_spell("corrupt", corrupt)) from error


def _corrupt(store: ArtifactStore, segments: Sequence[str]) -> Iterator[str]:
    for digest in segments:
        try:
            with store.open(digest) as reader:
                while reader.read(CHUNK_BYTES):
                    pass
        except BlobCorruptError:
            yield digest


def _spell(what: str, segments: Sequence[str]) -> str:
    some = ", ".join(segments[:3]) + (" ..." if len(segments) > 3 else "")  # noqa: PLR2004 - a line
    many = "a segment of its snapshot is" if len(segments) == 1 else "segments of its snapshot are"
    return f"{many} {what}: {some}"


def _place_parent(
    store: ArtifactStore, folder: Path, source: ModelSource, rebuilt: Files | None
) -> None:
    """Write the parent where the child looks for it: as it was rebuilt, else as it is stored."""
    if rebuilt is not None:
        for name, content in rebuilt.items():
            (folder / PARENT / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / PARENT / name).write_bytes(content)
        (folder / PARENT / CONTRACT).write_text(json.dumps(source.contract.to_document()))
        return
    try:
        place_model(store, source, folder, PARENT)
    except (BlobNotFoundError, BlobCorruptError) as error:
        raise NotReproducibleError(reason=f"of its parent {source.number}: {error}") from error


def _registered(store: ArtifactStore, folder: Path, record: Record, rebuilt: Files) -> Files:
    """Return the model as it was registered; where a file is lost, the rebuild may be it."""
    try:
        place_model(store, record.source, folder, REGISTERED)
    except (BlobNotFoundError, BlobCorruptError) as error:
        known = {file.digest for file in record.source.manifest.files}
        if known.issuperset(_digests(rebuilt).values()):
            return rebuilt
        reason = f"its own file cannot be compared with: {error}"
        raise NotReproducibleError(reason=reason) from error
    return _read(folder / REGISTERED)


def _job(record: Record, commands: Commands) -> dict[str, Any]:
    version, rule, parent = record.version, record.specification.retrain, record.parent
    command = None
    if rule.command is not None:
        command = seal(rule.command, commands.get(rule.command, record.model.name))
    hyperparameters = version.hyperparameters or {}
    decay, searched = hyperparameters.get("decay_rate"), hyperparameters.get("search")
    chosen = searched["chosen"] if searched else {}
    return Recipe(
        rule=rule.model_copy(update={"search": None, "params": {**rule.params, **chosen}}),
        lane=cast("Lane", version.lane),
        target=catalog.target_contract_of(record.model).to_json(),
        schema=None,
        contract=record.source.contract,
        has_bins=record.bins is not None,
        parent=None if parent is None else files_of(PARENT, parent, commands),
        command=command,
        seed=record.seed,
        decay_rate=decay if version.lane == "refit" else None,
    ).to_job()


def _partings(record: Record, answer: dict[str, Any]) -> Iterator[Parting]:
    """Yield what the rebuild did or found otherwise than the record says."""
    version, tags = record.version, record.version.tags
    params, seeds = dict(version.hyperparameters or {}), version.seeds or {}
    params.pop("search", None)  # what it chose is done again, not the search
    used_params = hyperparameters_of(answer)
    program = (
        {"command": params.pop("command", None)},
        {"command": used_params.pop("command", None)},
    )
    yield from compare_mapping("library", *program, decisive=False)
    yield from compare_mapping("params", params, used_params, decisive=True)
    yield from compare_mapping("params", seeds, answer["seeds"], decisive=True)
    counted = {f"train_{name}": answer.get(name) for name in _COUNTS}
    said = {name: version.metrics.get(name) for name in counted}
    yield from compare_mapping("data", said, counted, decisive=True)
    contract = {"feature contract": version.feature_contract}
    used = {"feature contract": answer["contract_digest"]}
    yield from compare_mapping("data", contract, used, decisive=True)
    code = code_tags()
    yield from compare_mapping(
        "library",
        {"trainer": version.trainer, **{name: tags.get(name) for name in code}},
        {"trainer": answer["trainer"], **code},
        decisive=False,
    )
    yield from compare_environment(version.environment or {}, environment_here().to_json())
