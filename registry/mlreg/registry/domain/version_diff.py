"""What differs between two versions of a model: pure comparison, nothing left out.

What always holds: equal parts are silent; `before` belongs to the first version, `after` to the
second, and None means that it was not there; swapping the versions swaps the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlreg.registry.domain.forms import Json

_SCP = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>[^/].*)")
_HTTP = re.compile(r"(?:https?|ssh|git)://(?:[^@/]*@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Compared:
    """One version, as far as it is compared.

    Attributes:
        facts: lane, trainer, parent, who and when, python, platform …, by name.
        data: digest of each part of the data → its name, or the digest again.
        features: the feature contract in order, as JSON forms with a `name`.
        files: path → digest.
        git: commit, dirty flag and remote, or None.
    """

    facts: Mapping[str, Json] = field(default_factory=dict)
    git: Mapping[str, Json] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    features: Sequence[Mapping[str, Json]] = ()
    params: Mapping[str, Json] = field(default_factory=dict)
    seeds: Mapping[str, Json] = field(default_factory=dict)
    packages: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs; None is that it is not there."""

    name: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric that differs; `delta` is after minus before, None where either lacks."""

    name: str
    before: float | None
    after: float | None
    delta: float | None


@dataclass(frozen=True, slots=True)
class FeatureDiff:
    """What differs between two feature contracts; `reordered` says that common columns moved."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    reordered: bool = False


@dataclass(frozen=True, slots=True)
class CodeRange:
    """The commits from one version to the other.

    Attributes:
        commits: `a..b` as git takes it, None where a commit lacks.
        remote: of the second version, else of the first.
        url: a page that compares them, where the remote is GitHub or GitLab; the same repository
            on both sides only.
        dirty: whether either tree had changes that are in no commit.
    """

    before: str | None
    after: str | None
    commits: str | None
    remote: str | None
    url: str | None
    dirty: bool


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Everything that differs; parts without a difference are empty or None."""

    code: CodeRange | None
    facts: tuple[Change, ...]
    data: tuple[Change, ...]
    features: FeatureDiff
    params: tuple[Change, ...]
    seeds: tuple[Change, ...]
    packages: tuple[Change, ...]
    metrics: tuple[MetricChange, ...]
    tags: tuple[Change, ...]
    files: tuple[Change, ...]


def diff_versions(one: Compared, other: Compared) -> VersionDiff:
    """Return what differs from one version to another."""
    return VersionDiff(
        code=_code(one.git, other.git),
        facts=changes(one.facts, other.facts),
        data=_data(one.data, other.data),
        features=_features(one.features, other.features),
        params=changes(one.params, other.params),
        seeds=changes(one.seeds, other.seeds),
        packages=changes(one.packages, other.packages),
        metrics=_metrics(one.metrics, other.metrics),
        tags=changes(one.tags, other.tags),
        files=changes(one.files, other.files),
    )


def changes(one: Mapping[str, Json], other: Mapping[str, Json]) -> tuple[Change, ...]:
    """Return the names whose values differ, sorted; true is not 1, and 1 is 1.0."""
    names = sorted(one.keys() | other.keys())
    return tuple(
        Change(name, one.get(name), other.get(name))
        for name in names
        if (name in one) != (name in other) or not _same(one.get(name), other.get(name))
    )


def compare_url(remote: str, before: str, after: str) -> str | None:
    """Return the page of GitHub or GitLab that compares two commits, None for other hosts."""
    match = _HTTP.fullmatch(remote) or _SCP.fullmatch(remote)
    if match is None:
        return None
    host, path = match["host"].lower(), match["path"].strip("/").removesuffix(".git")
    if host == "github.com" or host.startswith("github."):
        return f"https://{host}/{path}/compare/{before}...{after}"
    if host == "gitlab.com" or host.startswith("gitlab."):
        return f"https://{host}/{path}/-/compare/{before}...{after}"
    return None


def _same(one: Json, other: Json) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _code(one: Mapping[str, Json] | None, other: Mapping[str, Json] | None) -> CodeRange | None:
    one, other = one or {}, other or {}
    if one == other and not one.get("dirty"):
        return None
    tree, other_tree = _tree(one), _tree(other)
    before, after = tree.commit, other_tree.commit
    moved = (before, after) if before and after and before != after else None
    return CodeRange(
        before=before,
        after=after,
        commits=None if moved is None else "..".join(moved),
        remote=other_tree.remote or tree.remote,
        url=None if moved is None else _url(tree, other_tree, *moved),
        dirty=tree.dirty or other_tree.dirty,
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """The working tree of a version; what is no text is not there."""

    commit: str | None
    remote: str | None
    dirty: bool


def _tree(git: Mapping[str, Json]) -> _Tree:
    return _Tree(_text(git.get("commit")), _text(git.get("remote")), bool(git.get("dirty")))


def _url(one: _Tree, other: _Tree, before: str, after: str) -> str | None:
    remotes = {tree.remote for tree in (one, other) if tree.remote is not None}
    return compare_url(remotes.pop(), before, after) if len(remotes) == 1 else None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _data(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[Change, ...]:
    """Compare data by name where parts are named, else by digest."""
    return changes(_named(one), _named(other))


def _named(data: Mapping[str, str]) -> dict[str, Json]:
    """Return name → digest; parts that share a name go by their digests."""
    names = list(data.values())
    return {name if names.count(name) == 1 else digest: digest for digest, name in data.items()}


def _features(
    one: Sequence[Mapping[str, Json]], other: Sequence[Mapping[str, Json]]
) -> FeatureDiff:
    before = {str(feature["name"]): feature for feature in one}
    after = {str(feature["name"]): feature for feature in other}
    common = [name for name in before if name in after]
    changed = [
        Change(f"{name}.{change.name}", change.before, change.after)
        for name in common
        for change in changes(before[name], after[name])
    ]
    return FeatureDiff(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(changed),
        reordered=common != [name for name in after if name in before],
    )


def _metrics(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[MetricChange, ...]:
    found = []
    for name in sorted(one.keys() | other.keys()):
        before, after = one.get(name), other.get(name)
        if before != after:
            delta = None if before is None or after is None else after - before
            found.append(MetricChange(name, before, after, delta))
    return tuple(found)
