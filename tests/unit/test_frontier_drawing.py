"""The drawing of a backtest: no name lies over another one."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.wire.backtests import Backtested, BacktestedPolicy, Blocks, Estimate
from mlreg.controller.web.frontier import LETTER, LINE, frontier_of

NONE = Estimate(estimate=0.0, low=None, high=None)
AT = datetime(2026, 1, 1, tzinfo=UTC)
PLACES = st.lists(
    st.tuples(st.floats(0.0, 300.0), st.floats(0.3, 0.6)), min_size=1, max_size=8, unique=True
)


def policy(name, seconds, value):
    return BacktestedPolicy(
        name=name, triggers="", lanes="", selection="", anchor=False, pareto=True,
        value=Estimate(estimate=value, low=None, high=None), gain=NONE, behind=NONE,
        trainings=1, by_lane={}, verdicts={}, held={}, train_seconds=seconds, cost=0.0,
    )  # fmt: skip


def backtested(places):
    policies = [
        policy(f"policy {turn} / full", *place) for turn, place in enumerate(sorted(places))
    ]
    return Backtested(
        metric="log_loss", start=AT, end=AT, windows=9, rows=9, blocks=Blocks(count=9, days=1),
        gates=False, policies=policies, left_out=[], freshness=[], answer=[], trained=1, asked=1,
        seconds=1.0,
    )  # fmt: skip


def box(one):
    width = LETTER * len(one.name)
    left = one.x - 7 - width if one.ends else one.x + 7
    return left, left + width, one.named_at


@given(PLACES)
def test_names_lie_beside_each_other(places):
    drawn = frontier_of(backtested(places))
    assert len(drawn.points) == len(places)
    boxes = [box(one) for one in drawn.points if one.name]
    assert boxes, "the first name always has its place"
    for one, other in combinations(boxes, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) >= LINE


def test_names_of_points_that_lie_apart_are_all_there():
    drawn = frontier_of(backtested([(0.0, 0.6), (20.0, 0.5), (300.0, 0.3)]))
    assert all(one.name for one in drawn.points)
