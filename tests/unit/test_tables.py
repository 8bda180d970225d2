"""What a table of the command line looks like."""

from __future__ import annotations

from mlreg.cli.tables import Table, table_lines


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
    wide = list(table_lines(Table(("a" * 75, "b"), [["x", "y z " * 10]])))
    assert len(wide) == 2
