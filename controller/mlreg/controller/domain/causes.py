"""Causes: which readings are about one and the same thing, and what it is called.

A hundred features that drift in one night are one cause, and so are five distances of one feature.

What always holds: a reading belongs to exactly one kind; what is unusual in a window is named alike
in each window, so that it can be recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.alert_rule import AlertKind
    from mlreg.controller.domain.readings import WindowReading

BY_NAME: dict[str, AlertKind] = {
    "psi": "drift",
    "jensen_shannon": "drift",
    "ks": "drift",
    "wasserstein": "drift",
    "cramers_v": "drift",
    "domain_auc": "drift",
    "null_share": "quality",
    "unseen_share": "quality",
    "default_share": "quality",
    "infinite_share": "quality",
    "rows": "volume",
    "source_rows": "volume",
    "labelled": "volume",
    "labelled_share": "volume",
    "maturity": "volume",
    "concept_loss": "performance",
    "parity": "parity",
    "skew": "parity",
}
BY_PREFIX: tuple[tuple[str, AlertKind], ...] = (
    ("score_", "score"),
    ("label_", "labels"),
    ("concept_", "concept"),
    ("estimated_", "estimate"),
    ("business:", "business"),
    ("invariant:", "invariant"),
    ("parity_", "parity"),
    ("skew_", "parity"),
)
OF_FEATURES: frozenset[AlertKind] = frozenset({"drift", "quality"})
"""The kinds whose culprits are features, whatever was measured of them."""
EXPLAINED: frozenset[AlertKind] = OF_FEATURES | {"score", "estimate"}
"""The kinds that a feed which is down explains; what they say in such a window is not said."""
SIZES = ("psi", "jensen_shannon", "ks", "wasserstein", "cramers_v")
"""By which distance features are put in order, the first one that there is."""
NAMED = 3
_TITLES: dict[str, str] = {
    "outage": "features at their defaults: {}",
    "volume": "unusual volume: {}",
    "quality": "missing, unseen or default values: {}",
    "drift": "drift of {}",
    "score": "the scores have moved: {}",
    "labels": "the labels have moved: {}",
    "concept": "the model's errors have changed: {}",
    "performance": "unusual performance: {}",
    "estimate": "performance is estimated to be unusual: {}",
    "business": "unusual business metrics: {}",
    "invariant": "broken invariants: {}",
    "parity": "online and offline differ: {}",
}


def kind_of(monitor: str) -> AlertKind:
    """Return the kind of cause that a monitor's readings speak of; metrics are performance."""
    if monitor in BY_NAME:
        return BY_NAME[monitor]
    return next((kind for prefix, kind in BY_PREFIX if monitor.startswith(prefix)), "performance")


def culprit_of(reading: WindowReading) -> str:
    """Return what is unusual: a feature, a metric, a metric of a slice, an invariant."""
    kind, name = kind_of(reading.monitor), reading.monitor.partition(":")[2] or reading.monitor
    if not reading.subject:
        return name
    return reading.subject if kind in OF_FEATURES else f"{name} of {reading.subject}"


def rank_culprits(readings: Sequence[WindowReading]) -> list[str]:
    """Return the culprits of one kind and window, the largest effect first."""
    best: dict[str, tuple[int, float, str]] = {}
    for one in readings:
        name = culprit_of(one)
        place = SIZES.index(one.monitor) if one.monitor in SIZES else len(SIZES)
        key = (place, -abs(one.value or 0.0), name)
        best[name] = min(key, best.get(name, key))
    return sorted(best, key=best.__getitem__)


def title_of(kind: str, culprits: Sequence[str]) -> str:
    """Return what an alert of one of the kinds is called."""
    shown, more = ", ".join(culprits[:NAMED]), len(culprits) - NAMED
    return _TITLES[kind].format(shown + (f" and {more} more" if more > 0 else ""))
