"""Looking at what is registered without ever loading it: its kind, and a text model's structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.scoring.errors import ModelFileError
from mlreg.client.scoring.lightgbm_text import MAX_BYTES, validate
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.artifacts.reading import read_blob, read_head
from mlreg.registry.domain.contracts import check_names
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.flavours import (
    HEAD_BYTES,
    TAIL_BYTES,
    Flavour,
    flavour_of,
    flavour_of_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.contracts import FeatureSchema
    from mlreg.registry.domain.manifests import Manifest, ManifestFile

MAX_TAIL_READ = 16 * 2**20
"""Up to this size an opaque file is read to its end, where a zip behind other bytes shows."""


class InvalidModelFileError(InvalidError):
    """A LightGBM text model breaks a rule of its format."""

    code = "invalid_model_file"
    hint = "Save the model again with an unchanged LightGBM (Booster.save_model)."

    def __init__(self, *, path: str, problem: str) -> None:
        super().__init__(f"file {path!r}: {problem}")


def inspect_artifact(
    store: ArtifactStore, manifest: Manifest, features: Callable[[], FeatureSchema | None]
) -> Flavour:
    """Return the kind of an artifact, after its LightGBM text models were validated.

    Args:
        store: where the bytes are.
        manifest: the files.
        features: the columns that a text model must have been trained on, in that order; asked for
            only where there is such a model, as it may cost a look into the database.

    Raises:
        InvalidModelFileError: a text model breaks a rule of its format.
        ContractMismatchError: a model has other columns; names the first.
    """
    return flavour_of([_inspect_file(store, file, features) for file in manifest.files])


def _inspect_file(
    store: ArtifactStore, file: ManifestFile, features: Callable[[], FeatureSchema | None]
) -> Flavour:
    try:
        flavour = flavour_of_file(file.path, read_head(store, file.digest, HEAD_BYTES))
        if flavour == "opaque" and HEAD_BYTES < file.size <= MAX_TAIL_READ:
            content = read_blob(store, file.digest, max_bytes=MAX_TAIL_READ)
            flavour = flavour_of_file(file.path, content[:HEAD_BYTES], content[-TAIL_BYTES:])
        if flavour == "lightgbm-text":
            _check_text_model(
                file.path, read_blob(store, file.digest, max_bytes=MAX_BYTES), features()
            )
    except BlobNotFoundError:
        return "opaque"  # registration says so in its own words
    return flavour


def _check_text_model(path: str, content: bytes, features: FeatureSchema | None) -> None:
    try:
        summary = validate(content)
    except ModelFileError as error:
        raise InvalidModelFileError(path=path, problem=str(error)) from error
    if features is not None:
        # LightGBM writes a space in a name as an underscore
        check_names(summary.feature_names, [name.replace(" ", "_") for name in features.names])
