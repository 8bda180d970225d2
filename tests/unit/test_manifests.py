"""Manifests: one name for equal files, and no path that leads astray."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.manifests import (
    InvalidManifestError,
    Manifest,
    ManifestFile,
    checked_path,
)

DIGEST = "sha256:" + "0" * 64
PARTS = st.text("abcXYZ012._- ", min_size=1, max_size=6).filter(
    lambda part: part.strip() not in {"", ".", ".."}
)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def apart(paths):
    folded = {tuple(path.casefold().split("/")) for path in paths}
    return len(folded) == len(paths) and not any(
        other != one and other[: len(one)] == one for one in folded for other in folded
    )


@given(st.lists(PATHS, min_size=1, max_size=8, unique=True).filter(apart), st.randoms())
def test_order_does_not_matter_and_json_keeps_all(paths, random):
    files = [ManifestFile(path, len(path), DIGEST) for path in paths]
    manifest = Manifest.of(files)
    random.shuffle(files)
    assert Manifest.of(files).digest == manifest.digest
    assert Manifest.from_body(manifest.body) == manifest
    assert manifest.total_size == sum(len(path) for path in paths)


@given(st.text(max_size=30))
def test_a_path_that_passes_stays_in_its_folder(text):
    try:
        path = PurePosixPath("/root", checked_path(text))
    except InvalidManifestError:
        return
    assert path.is_relative_to("/root")
    assert ".." not in path.parts
    assert "\0" not in text
    assert "\\" not in text


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "a/..", "../a", "a/./b", "a//b", "a/", "a\\b", "C:x", "a\0",
     "a\n", "\u202ea", " ", "x" * 501, "é" * 130],
)  # fmt: skip
def test_paths_that_lead_astray_are_refused(path):
    with pytest.raises(InvalidManifestError):
        checked_path(path)


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["a", "A"], ["a", "a/b"], ["dir/x", "DIR"], ["ß", "SS"]]
)
def test_paths_that_are_one_file_somewhere_are_refused(paths):
    with pytest.raises(InvalidManifestError, match="twice"):
        Manifest.of([ManifestFile(path, 1, DIGEST) for path in paths])


def test_files_are_sorted_there_and_of_a_size():
    with pytest.raises(InvalidManifestError):
        Manifest(())
    with pytest.raises(InvalidManifestError, match="sorted"):
        Manifest((ManifestFile("b", 1, DIGEST), ManifestFile("a", 1, DIGEST)))
    with pytest.raises(InvalidManifestError, match="size"):
        ManifestFile("a", -1, DIGEST)
