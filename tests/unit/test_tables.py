"""What a table of the command line looks like."""

from __future__ import annotations

import pytest

from mlreg.cli.commands.cost import amount_of
from mlreg.cli.tables import Table, table_lines
from mlreg.client.wire.costs import CostAnswer


def test_the_last_cell_is_folded_at_eighty_columns():
    reason = "not shown against the champion: gain -0.003 [-0.007, +0.001], margin 0.002; " * 2
    rows = [["champion log_loss", "inconclusive", reason], ["prior", "pass", None]]
    lines = list(table_lines(Table(("gate", "outcome", "reason"), rows)))
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "prior              pass          -"
    folded = [lines[1][33:], *(line.strip() for line in lines[2:-1])]
    assert " ".join(folded) == reason.strip()


def test_what_is_meant_to_be_copied_is_never_broken():
    digest = "sha256:" + "5" * 64
    lines = list(table_lines(Table(("number", "what"), [[1, f"blob {digest} is corrupt"]])))
    assert any(line.endswith(digest) for line in lines)


def test_where_there_is_no_room_beside_the_row_it_stands_under_it():
    why = "the training rows break tickets-ok (tickets < 30): 400 of 7,200 rows (5.56 %)"
    wide = list(table_lines(Table(("a" * 75, "b"), [["x", why], ["y", "-"]])))
    assert [len(line) for line in wide[1:2]] == [1]
    assert " ".join(line.strip() for line in wide[2:-1]) == why
    assert max(map(len, wide[2:])) <= 80
    assert wide[-1].split() == ["y", "-"]


def test_in_a_pipe_what_can_be_spared_goes_at_eighty_columns_and_nothing_is_cut():
    rows = [[7, "n" * 30, "continue", "manual", "2026-11-21 16:40", "s" * 20, None]]
    headers = ("run", "model", "lane", "cause", "asked", "version", "why")
    lines = list(table_lines(Table(headers, rows, spare=("cause", "lane", "version"))))
    assert lines[0].split() == ["RUN", "MODEL", "ASKED", "VERSION", "WHY"]
    assert max(map(len, lines)) <= 80
    assert "n" * 30 in lines[1]
    wide = Table(headers, [[7, "n" * 63, *rows[0][2:]]], spare=("cause", "lane", "version"))
    assert "n" * 63 in list(table_lines(wide))[1]


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0.0, "0.0000 EUR"),
        (0.000016800, "0.0000168 EUR"),
        (0.0099, "0.0099 EUR"),
        (1234.5, "1,234.5000 EUR"),
    ],
)
def test_what_a_short_run_cost_does_not_look_like_nothing(amount, said):
    cost = CostAnswer(
        name="churn", currency="EUR", runs=1, seconds=0.4, train_seconds=0.1, amount=amount
    )
    assert amount_of([cost]) == said
