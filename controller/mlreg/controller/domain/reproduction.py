"""What a rebuild says of a version: identical, or where the two part and what may be the cause.

What always holds: a version is `identical` only if every tree is, and the record says nothing that
the rebuild denies. A library or a machine that is another now is no difference of the model: it is
told, and where the trees do part it is a suspect. Values in, values out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from mlreg.client.scoring.tree_hash import Difference, ModelHash, find_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT = 1
Outcome = Literal["identical", "differs", "not_reproducible"]
Where = Literal["trees", "data", "params", "library", "platform", "record"]
MATTER = ("lightgbm", "numpy", "pyarrow", "scikit-learn", "scipy", "skops")
"""The packages that a model depends on; others are counted."""
MAX_PARTINGS = 50
NOWHERE = "the data, the parameters, the libraries and the machine are those of the record"


@dataclass(frozen=True, slots=True)
class Parting:
    """One thing that is not as the record says.

    Attributes:
        what: its name, e.g. `learning_rate`, or a sentence.
        registered, rebuilt: what the record says, and what was used or found now.
        decisive: the record does not describe this model; else it may only be the cause.
    """

    where: Where
    what: str
    registered: Any = None
    rebuilt: Any = None
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models, tree by tree.

    Attributes:
        same_bytes: whether the files are equal byte for byte.
    """

    registered: str
    rebuilt: str
    trees: tuple[int, int]
    difference: Difference | None
    same_bytes: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rebuild of one version says.

    Attributes:
        reason: in one line, for people; empty where it is identical in everything.
        ancestors: the versions that were rebuilt before it, the full one first.
    """

    version: int
    outcome: Outcome
    reason: str = ""
    comparison: Comparison | None = None
    partings: tuple[Parting, ...] = ()
    ancestors: tuple[Finding, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the body of an attestation; of ancestors that are identical, no more than that."""
        ancestors = [
            one.to_json()
            if one.outcome != "identical"
            else {"version": one.version, "outcome": one.outcome}
            for one in self.ancestors
        ]
        return {"format": FORMAT, **asdict(replace(self, ancestors=())), "ancestors": ancestors}


def compare_models(registered: ModelHash, rebuilt: ModelHash, *, same_bytes: bool) -> Comparison:
    """Compare two models tree by tree."""
    return Comparison(
        registered=registered.digest,
        rebuilt=rebuilt.digest,
        trees=(len(registered.trees), len(rebuilt.trees)),
        difference=find_difference(registered, rebuilt),
        same_bytes=same_bytes,
    )


def conclude(version: int, comparison: Comparison, partings: Sequence[Parting]) -> Finding:
    """Return what a comparison and the partings beside it say."""
    found = sorted(partings, key=lambda one: not one.decisive)[:MAX_PARTINGS]
    decisive = [one for one in found if one.decisive]
    outcome: Outcome = "differs" if comparison.difference or decisive else "identical"
    return Finding(version, outcome, _reason(comparison, found), comparison, tuple(found))


def conclude_files(
    version: int,
    registered: Mapping[str, str],
    rebuilt: Mapping[str, str],
    partings: Sequence[Parting],
) -> Finding:
    """Return what the files of a model without trees say, by name and digest: equal, or not."""
    names = sorted(name for name in {*registered, *rebuilt} if _differ(name, registered, rebuilt))
    more = [
        Parting("trees", f"file {name}", registered.get(name), rebuilt.get(name), decisive=True)
        for name in names
    ]
    found = sorted([*more, *partings], key=lambda one: not one.decisive)[:MAX_PARTINGS]
    decisive = [spell(one) for one in found if one.decisive]
    outcome: Outcome = "differs" if decisive else "identical"
    return Finding(version, outcome, "; ".join(decisive[:3]), partings=tuple(found))


def _differ(name: str, registered: Mapping[str, str], rebuilt: Mapping[str, str]) -> bool:
    return registered.get(name) != rebuilt.get(name)


def spell(parting: Parting) -> str:
    """Return a parting as a line for people."""
    if parting.registered is None and parting.rebuilt is None:
        return parting.what
    return f"{parting.what}: {_plain(parting.registered)} registered, {_plain(parting.rebuilt)} now"


def compare_mapping(
    where: Where,
    registered: Mapping[str, object],
    rebuilt: Mapping[str, object],
    *,
    decisive: bool,
) -> Iterator[Parting]:
    """Yield what differs between two mappings, by name."""
    for name in sorted({*registered, *rebuilt}):
        one, other = registered.get(name), rebuilt.get(name)
        if one != other:
            yield Parting(where, name, one, other, decisive)


def compare_environment(
    registered: Mapping[str, Any], here: Mapping[str, Any]
) -> Iterator[Parting]:
    """Yield which packages and which machine are others than when the version was made."""
    one, other = registered.get("packages") or {}, here.get("packages") or {}
    yield from compare_mapping("library", _these(one), _these(other), decisive=False)
    others = sum(one.get(name) != other.get(name) for name in {*one, *other} - {*MATTER})
    if others:
        yield Parting("library", f"{others} packages that no model depends on are others")
    machine = ("python", "platform", "cpu")
    yield from compare_mapping(
        "platform",
        {name: registered.get(name) for name in machine},
        {name: here.get(name) for name in machine},
        decisive=False,
    )


def check_trainer(trainer: str, environment: Mapping[str, Any]) -> Iterator[Parting]:
    """Yield where a record contradicts itself: `lightgbm/4.6.0` beside package lightgbm 4.5.0."""
    name, _, release = trainer.partition("/")
    listed = (environment.get("packages") or {}).get(name)
    if release and listed is not None and listed != release:
        what = f"the record contradicts itself: trained by {trainer}, with {name} {listed}"
        yield Parting("library", what, decisive=True)


def _reason(comparison: Comparison, partings: Sequence[Parting]) -> str:
    trees = _spell_trees(comparison)
    if trees and not partings:
        return f"{trees}; {NOWHERE}"
    decisive = [spell(one) for one in partings if one.decisive]
    return "; ".join(part for part in (trees, *decisive[:3]) if part)


def _spell_trees(comparison: Comparison) -> str:
    difference, (ours, theirs) = comparison.difference, comparison.trees
    if difference is None:
        return ""
    if difference.part == "header":
        return "the models have another objective, or other features"
    if difference.part == "count":
        return f"{ours} trees were registered, the rebuild has {theirs}; the common ones are equal"
    name = {"leaves": "leaf values"}.get(difference.part, difference.part)
    which = f"tree {difference.tree} is the first of {difference.trees} that differ"
    return f"{which} (of {max(ours, theirs)}), by its {name}"


def _these(packages: Mapping[str, Any]) -> dict[str, Any]:
    return {name: packages[name] for name in MATTER if name in packages}


def _plain(value: object) -> str:
    return "none" if value is None else str(value)
