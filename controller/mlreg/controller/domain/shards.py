"""One model trained by several processes, each on its own part of the rows.

What always holds: that all of them trained the *same* model on *all* rows is proven, not hoped.
LightGBM without its network parameters, or with wrong ones, trains on a part of the rows and says
nothing. So each process sees in its own model that the root of the first tree counts every row of
the snapshot, and who gathers the reports sees that the processes are as many as were asked for,
that each took another part, that the parts add up, and that all trees are equal, byte for byte.
Rounds are fixed: nobody stops early, so nobody waits for one who did.

Source: https://lightgbm.readthedocs.io/en/latest/Parallel-Learning-Guide.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TIME_OUT_MINUTES = 5
SAMPLING = frozenset(
    {
        *("bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction", "bagging_freq"),
        *("data_sample_strategy", "top_rate", "other_rate"),
    }
)
"""With one of these, a tree does not count all rows, and its root proves nothing."""
_ROOT = re.compile(rb"^internal_count=(\d+)", re.MULTILINE)
_ADDRESSES = re.compile(rb"^\[(machines|local_listen_port): [^\]\n]*\]$", re.MULTILINE)
_PARAMETERS = b"\nparameters:"


class ShardsDisagreeError(RefusedError):
    """The processes did not train one model on all rows."""

    code = "shards_disagree"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the workers did not train one model on all rows: {cause}")


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of one process.

    Attributes:
        machines: `host:port` of every process, in the order of their ranks.
    """

    rank: int
    machines: tuple[str, ...]

    @property
    def world(self) -> int:
        """How many processes there are."""
        return len(self.machines)

    def rows_of(self, total: int) -> slice:
        """Return which of so many rows are this one's: contiguous, disjoint, all together all."""
        return slice(self.rank * total // self.world, (self.rank + 1) * total // self.world)

    @property
    def network(self) -> dict[str, Any]:
        """LightGBM's network parameters."""
        return {
            "machines": ",".join(self.machines),
            "num_machines": self.world,
            "local_listen_port": int(self.machines[self.rank].rpartition(":")[2]),
            "time_out": TIME_OUT_MINUTES,
            "tree_learner": "data",
            "pre_partition": True,
        }


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What one process says that it did.

    Attributes:
        rows: of its own part.
        total: of the snapshot, as it read it.
        trees: the digest of all trees, without the parameters beside them.
    """

    rank: int
    world: int
    rows: int
    total: int
    trees: str


def report_of(
    shard: Shard, rows: int, total: int, model: bytes, params: Mapping[str, Any]
) -> ShardReport:
    """Return the report of a process on its model.

    Raises:
        ShardsDisagreeError: the first tree has not seen every row.
    """
    if not SAMPLING & set(params):
        root = _ROOT.search(model)
        seen = 0 if root is None else int(root[1])
        if seen != total:
            cause = f"worker {shard.rank} has a first tree of {seen} rows, the snapshot has {total}"
            raise ShardsDisagreeError(cause=cause)
    trees = digest_of(model.partition(_PARAMETERS)[0])
    return ShardReport(shard.rank, shard.world, rows, total, trees)


def check_reports(reports: Sequence[ShardReport], world: int) -> None:
    """Check that so many processes trained one model on all rows.

    Raises:
        ShardsDisagreeError: they did not; says how.
    """
    problem = next(_disagreements(reports, world), None)
    if problem is not None:
        raise ShardsDisagreeError(cause=problem)


def _disagreements(reports: Sequence[ShardReport], world: int) -> Iterator[str]:
    """Yield where the reports are not those of one training; each check needs those before it."""
    ranks, worlds, rows, totals, trees = (
        [getattr(report, name) for report in reports]
        for name in ("rank", "world", "rows", "total", "trees")
    )
    if sorted(ranks) != list(range(world)):
        yield f"{world} were asked for, and ranks {sorted(ranks)} reported"
    if {*worlds} != {world}:
        yield f"{world} were asked for, and some saw {sorted({*worlds})}"
    if len({*totals}) > 1:
        yield f"they read snapshots of {sorted({*totals})} rows"
    if sum(rows) != totals[0]:
        yield f"together they saw {sum(rows)} rows, the snapshot has {totals[0]}"
    if len({*trees}) > 1:
        yield "their trees differ"


def without_addresses(model: bytes) -> bytes:
    """Return a model's text without the addresses of those who trained it."""
    head, mark, parameters = model.partition(_PARAMETERS)
    return head + mark + _ADDRESSES.sub(rb"[\1: ]", parameters)
