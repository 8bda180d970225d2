"""The provenance of a registration by hand: what options say, what the working tree says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.cli.forms import document, form, pairs, scalar
from mlreg.client.errors import InvalidError
from mlreg.client.provenance import capture_environment, capture_git, digest_of_file
from mlreg.client.wire.versions import EnvironmentForm, ProvenanceForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `mlreg version register` that speak of provenance, as typed.

    Attributes:
        code: the working tree that trained the model.
        environment: a file that says where it was trained; None means here.
    """

    code: Path
    environment: str | None
    contract: str | None
    data: Sequence[str]
    params: Sequence[str]
    seeds: Sequence[str]
    trainer: str | None
    lane: str | None
    parent: int | None


def provenance_of(options: Options) -> ProvenanceForm:
    """Return the provenance that the options and this machine give.

    Raises:
        InvalidError: an option or document breaks a rule of form.
        OSError: a file that an option names cannot be read.
    """
    if not options.code.is_dir():
        raise InvalidError(f"--code {options.code} is no folder", code="invalid_option")
    git = capture_git(options.code)
    return form(
        ProvenanceForm,
        git=None if git is None else git.model_dump(),
        environment=_environment(options.environment).model_dump(),
        contract=None if options.contract is None else features_of(document(options.contract)),
        snapshots=[_digest(place) for place in options.data] or None,
        hyperparameters=_hyperparameters(options.params),
        seeds=_seeds(options.seeds),
        trainer=options.trainer,
        lane=options.lane,
        parent=options.parent,
    )


def features_of(content: object) -> object:
    """Return the features of a document: the list itself, or what is under `features`.

    Raises:
        InvalidError: there is no such list, or nothing in it.
    """
    features = content.get("features") if isinstance(content, dict) else content
    if not isinstance(features, list) or not features:
        raise InvalidError(
            "the features are no list with at least one feature",
            code="invalid_document",
            hint="Write one `- {name: …, dtype: float}` per feature; see docs/tutorial.",
        )
    return features


def _environment(place: str | None) -> EnvironmentForm:
    if place is None:
        return capture_environment()
    content = document(place)
    if not isinstance(content, dict):
        raise InvalidError(f"{place} is no mapping", code="invalid_document")
    return form(EnvironmentForm, **content)


def _digest(place: str) -> str:
    """Return a digest as it is, a file's digest otherwise."""
    return place if _DIGEST.fullmatch(place) else digest_of_file(Path(place))


def _hyperparameters(texts: Sequence[str]) -> Mapping[str, object] | None:
    """Return `k=v` pairs, and the documents of those texts that have no `=`, as one mapping."""
    found: dict[str, object] = {}
    for text in texts:
        if "=" in text:
            found |= {key: scalar(value) for key, value in pairs([text], "--params").items()}
            continue
        content = document(text)
        if not isinstance(content, dict):
            raise InvalidError(f"--params {text}: no mapping", code="invalid_document")
        found |= content
    return found or None


def _seeds(texts: Sequence[str]) -> Mapping[str, object] | None:
    """Return `NAME=N` pairs; a bare number is the seed called `seed`."""
    named = [text if "=" in text else f"seed={text}" for text in texts]
    return dict(pairs(named, "--seed")) or None
