"""The monitors of the feedback log that a trigger may watch, and how many rows each needs.

What always holds: the names are those of docs/reference/monitors.md; what is measured of features
has them as subjects; `business:<name>` is any series that somebody posts.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import MappingProxyType

_SIZES = ("psi", "jensen_shannon", "wasserstein", "ks", "cramers_v")
OF_FEATURES = frozenset({*_SIZES, "null_share", "unseen_share", "default_share", "skew"})
OF_DTYPES = MappingProxyType(
    {
        **dict.fromkeys(("wasserstein", "ks"), frozenset({"float", "int"})),
        "cramers_v": frozenset({"category", "bool"}),
        "unseen_share": frozenset({"category"}),
    }
)
"""Those that are measured of features of some dtypes only."""
SHARES = frozenset(
    {
        "null_share",
        "unseen_share",
        "default_share",
        "label_share",
        "domain_auc",
        *(
            f"{part}{size}"
            for part in ("", "score_", "label_")
            for size in ("ks", "cramers_v", "jensen_shannon")
        ),
    }
)
"""Those that lie between 0 and 1."""
DETECTORS = frozenset({"concept_adwin", "concept_page_hinkley"})
"""1 in a window in which a change of the loss is told, else 0."""
_COUNTED = frozenset({"rows", "concept_loss", "parity", *DETECTORS})
WATCHABLE = frozenset(
    {
        *OF_FEATURES,
        *_COUNTED,
        "score_mean",
        "label_mean",
        "label_share",
        "domain_auc",
        *(f"{part}_{size}" for part in ("score", "label") for size in _SIZES),
    }
)
BUSINESS = re.compile(r"business:[a-z0-9][a-z0-9._-]{0,62}")
NAMED = {
    "anyOf": [
        {"enum": sorted(WATCHABLE)},
        {"type": "string", "pattern": f"^{BUSINESS.pattern}$"},
    ]
}
"""What may be watched, as a JSON Schema."""
LEAST_ROWS = 200
"""Below so many rows a distance of distributions is mostly noise."""


def checked_monitor(name: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: there is no such monitor to watch, with what may have been meant.
    """
    if name in WATCHABLE or BUSINESS.fullmatch(name):
        return name
    raise ValueError(_problem(name))


def _problem(name: str) -> str:
    if name == "infinite_share":
        return "there is no infinite_share: the log takes no infinite values"
    if name.startswith("invariant:"):
        plain = name.removeprefix("invariant:")
        return f"an invariant has a trigger of its own: {{invariant: {plain}}}"
    if name.startswith(("skill_", "estimated_")):
        return "performance has a trigger of its own: {performance: auc, drop: 0.02}"
    close = get_close_matches(name, WATCHABLE, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"there is no monitor {name!r}{meant} (see docs/reference/monitors.md)"


def least_rows(name: str) -> int:
    """Return the rows that a window needs unless the policy says: few where rows are no sample."""
    return 1 if name in _COUNTED or name.startswith("business:") else LEAST_ROWS
