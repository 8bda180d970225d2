"""Where a rollback leads."""

from __future__ import annotations

import pytest

from mlreg.registry.domain.revisions import Fact, find_rollback_target, list_ended_by_rollback


def facts(*told):
    """Return facts, newest first, of (cause, champion) told in order of time."""
    return [Fact(n, champion, cause) for n, (cause, champion) in enumerate(told, 1)][::-1]


P, R, G, F = "promote", "rollback", "guard", "freeze"


@pytest.mark.parametrize(
    ("told", "target"),
    [
        ([], None),
        ([(P, 1)], None),
        ([(P, 1), (P, 2)], 1),
        ([(P, 1), (P, 2), (F, 2), (P, 3)], 2),
        ([(P, 1), (P, 2), (P, 3), (R, 2)], 1),
        ([(P, 1), (P, 2), (P, 3), (R, 2), (R, 1)], None),
        ([(P, 1), (P, 2), (G, 1), (P, 3)], 1),
        ([(P, 1), (P, 2), (G, 1), (P, 2), (P, 3)], 2),
        ([(P, 1), (P, 2), (R, 1), (F, 1)], None),
        ([(P, 1), (F, 1), ("fallback", 1), (P, 2)], 1),
        ([(F, None), (P, 1)], None),
        ([(P, 1), (P, 2), (P, 1), (P, 3), (R, 1)], 2),
    ],
)
def test_the_target_is_the_last_champion_that_was_not_itself_rolled_back(told, target):
    current = told[-1][1] if told else None
    assert find_rollback_target(facts(*told), current) == target


def test_all_revisions_of_a_reign_that_a_rollback_ended_are_marked():
    told = facts((P, 1), (P, 2), (F, 2), (R, 1), (P, 3))
    assert sorted(list_ended_by_rollback(told)) == [2, 3]
