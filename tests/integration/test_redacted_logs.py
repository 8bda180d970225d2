"""What a run prints, and why a job failed, is kept without secrets."""

from __future__ import annotations

from mlreg.controller.store.runs import add_lines
from tests.feedback_makers import NOW, make_model
from tests.run_makers import ask, log_of

TOKEN = "ghp_" + "a1B2" * 9


def test_lines_of_a_run_are_kept_without_secrets(database):
    make_model(database)
    run_id = ask(database, now=NOW)
    said = [
        "iteration 1",
        f"cloning https://ada:{TOKEN}@git.example/x",
        "password=hunter22",
        "done",
    ]
    with database.writing() as session:
        add_lines(session, run_id, 1, said, NOW)
    kept = log_of(database, run_id)
    assert kept == [
        "iteration 1",
        "cloning https://[redacted]@git.example/x",
        "password=[redacted]",
        "done",
    ]
