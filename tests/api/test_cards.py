"""Model cards over HTTP and on the command line: made from the record, written into by people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest
from markdown_it import MarkdownIt
from sqlalchemy import make_url
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.registry.domain.card_texts import html_of, markdown_of
from mlreg.registry.domain.cards import Card, Note, newest_notes
from mlreg.registry.store import tables
from tests.makers import START, make_models

MLREG = str(Path(sys.executable).with_name("mlreg"))
EVIL = "<script>alert(1)</script>[x](javascript:alert(1))![y](http://e/x.png)\n# head\n| a | b |"
EVIDENCE = {
    "verdict": "accepted",
    "reason": "champion log_loss: better",
    "rows": 700,
    "window": {"first": "2026-01-01T00:00:00Z", "last": "2026-01-14T00:00:00Z"},
    "metrics": {"challenger": {"auc": 0.81, "log_loss": 0.4}, "champion": {"auc": 0.79}},
    "gates": [
        {"gate": "champion log_loss", "outcome": "pass", "reason": "better", "evidence": {}},
        {
            "gate": "slices origin auc",
            "outcome": "fail",
            "reason": "worse on origin=EWR",
            "evidence": {
                "metric": "auc",
                "slices": [
                    {"column": "origin", "value": "JFK", "rows": 300, "challenger": 0.8,
                     "champion": 0.7, "gain": {"estimate": 0.1}},
                    {"column": "origin", "value": "EWR", "rows": 400, "challenger": 0.6,
                     "champion": 0.7, "gain": {"estimate": -0.1}},
                ],
            },
        },
    ],
}  # fmt: skip


@pytest.fixture
def versions(database):
    """Three versions of flights; a decision on the second, with evidence."""
    model_id = make_models(database)
    with database.writing() as session:
        version = session.get(tables.Version, (model_id, 2))
        version.metrics = {"auc": 0.8123456789}
        version.hyperparameters = {"num_leaves": 31}
        version.missing = ["git"]
        version.snapshots = ["sha256:" + "1" * 64]
        version.data = [
            {"name": "train", "digest": "sha256:" + "1" * 64, "kind": "table", "rows": 480}
        ]
        session.add(
            tables.Decision(
                model_id=model_id,
                environment="production",
                challenger=2,
                champion=1,
                verdict="accepted",
                evidence=EVIDENCE,
                created_at=START,
                created_by="test",
            )
        )


@pytest.fixture
def run(api, tmp_path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environ |= {"MLREG_URL": api.url, "MLREG_TOKEN": api.token}

    def run(*words, stdin=None):
        return subprocess.run(
            [MLREG, *words],
            env=environ,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.usefixtures("versions")
def test_a_card_tells_what_the_record_says(client):
    card = client.cards.get("flights", 2)
    assert card.metrics == {"auc": 0.8123456789}
    assert [(part.name, part.kind, part.rows) for part in card.data] == [("train", "table", 480)]
    (evaluation,) = card.evaluations
    assert (evaluation.verdict, evaluation.rows, evaluation.champion) == ("accepted", 700, 1)
    assert evaluation.metrics == {"auc": 0.81, "log_loss": 0.4}
    assert [gate.outcome for gate in evaluation.gates] == ["pass", "fail"]
    assert [cut.value for cut in evaluation.slices] == ["EWR", "JFK"]  # the worst first
    limits = " ".join(card.limits)
    for said in ("without git", "700 rows only", "slices origin auc"):
        assert said in limits
    assert "No decision was made" in " ".join(client.cards.get("flights", 1).limits)
    text = client.cards.document("flights", 2)
    for said in ("# flights/2", "0.812346", "Worst slices", "Decision 1"):
        assert said in text
    with pytest.raises(NotFoundError):
        client.cards.get("flights", 9)


@pytest.mark.usefixtures("versions")
def test_the_note_of_a_version_counts_before_that_of_the_model_and_all_are_kept(client, database):
    client.cards.write("flights", "intended_use", "for all")
    client.cards.write("flights", "intended_use", "for two", version=2)
    client.cards.write("flights", "ethics", "no person is judged")
    texts = {note.section: note.text for note in client.cards.get("flights", 2).notes}
    assert texts == {"intended_use": "for two", "ethics": "no person is judged"}
    assert client.cards.get("flights", 1).notes[0].text == "for all"
    client.cards.write("flights", "intended_use", "", version=2)
    assert client.cards.get("flights", 2).notes[0].text == "for all"
    kept = [note.text for note in client.cards.notes("flights", "intended_use")]
    assert kept == ["", "for two", "for all"]
    with database.reading() as session:
        found = select(tables.AuditEntry.subject).where(tables.AuditEntry.action == "card.note")
        assert session.exec(found).all().count("version:flights/2") == 2
    with database.writing() as session, pytest.raises(Exception, match="permission denied"):
        session.connection().exec_driver_sql("UPDATE card_note SET text = 'other'")


@pytest.mark.usefixtures("versions")
def test_a_note_is_refused_with_a_secret_or_about_nothing(client):
    with pytest.raises(InvalidError) as refused:
        client.cards.write("flights", "contact", "use ghp_" + "a1B2" * 9)
    assert refused.value.code == "secret_found"
    with pytest.raises(NotFoundError):
        client.cards.write("flights", "contact", "x", version=9)
    with pytest.raises(NotFoundError):
        client.cards.write("trains", "contact", "x")


@pytest.mark.usefixtures("versions")
def test_not_even_the_owner_changes_a_note(postgres, database_url, client):
    client.cards.write("flights", "ethics", "as written")
    url = postgres.url(make_url(database_url).database)
    with (
        psycopg.connect(url.replace("+psycopg", "")) as connection,
        pytest.raises(psycopg.Error, match="append-only"),
    ):
        connection.execute("DELETE FROM card_note")


@pytest.mark.usefixtures("versions")
def test_the_command_line_shows_and_writes_cards(run, tmp_path):
    assert run("card", "note", "flights/2", "limits", "not for freight").returncode == 0
    assert (
        run("card", "note", "flights", "ethics", "--file", "-", stdin="none known").returncode == 0
    )
    shown = run("card", "flights/2")
    assert "not for freight" in shown.stdout
    assert "none known" in shown.stdout
    assert run("card", "show", "flights/2").stdout == shown.stdout
    written = run("card", "flights/2", "--format", "html", "--output", "card.html")
    assert written.returncode == 0
    assert "<h1>flights/2</h1>" in (tmp_path / "card.html").read_text()
    assert json.loads(run("card", "--format", "json", "flights/2").stdout)["number"] == 2
    assert json.loads(run("card", "flights/2", "--json").stdout)["model"] == "flights"
    listed = run("card", "notes", "flights").stdout
    assert "flights/2  limits\n    not for freight" in listed
    assert run("card", "note", "flights/2", "limits", "--remove").returncode == 0
    assert "not for freight" not in run("card", "flights/2").stdout
    for words, code in (
        (["card", "flights/9"], 3),
        (["card", "flights"], 2),
        (["card", "note", "flights/2", "poem", "x"], 2),
        (["card", "note", "flights/2", "limits"], 2),
        (["card", "note", "flights/2", "limits", " "], 2),
        (["card", "note", "flights/x", "limits", "x"], 2),
    ):
        assert run(*words).returncode == code, words


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.texts.append(data)


def evil_card():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Card(
        model="flights",
        number=1,
        task=EVIL,
        description=EVIL,
        facts={EVIL: EVIL},
        notes=(Note("ethics", EVIL, EVIL, now, None),),
        data=(),
        train_start=None,
        train_end=None,
        features=(),
        hyperparameters={EVIL: EVIL},
        seeds={},
        metrics={EVIL: 1.0},
        evaluations=(),
        attestations=(),
        limits=(EVIL,),
    )


def test_what_people_wrote_is_inert_in_both_forms():
    page = Tags(html_of(evil_card()))
    assert not page.tags & {"script", "img", "a", "iframe", "style", "link"}
    assert page.attributes <= {"lang", "charset", "http-equiv", "content"}
    reader = MarkdownIt("commonmark").enable("table")  # raw HTML passes it, if any is left
    rendered = reader.render(markdown_of(evil_card()))
    page = Tags(rendered)
    shown = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "em", "br"}
    assert page.tags <= shown
    assert not page.attributes
    assert rendered.count("<h1>") == 1
    assert "# head | a | b |" in " ".join(page.texts)


def test_a_newer_note_wins_and_an_empty_one_takes_back():
    def note(hour, text, version):
        return Note("data", text, "ada", datetime(2026, 1, 1, hour, tzinfo=UTC), version)

    given = [note(4, "other", 3), note(3, "", 2), note(2, "mine", 2), note(1, "model", None)]
    assert [one.text for one in newest_notes(given, 2)] == ["model"]
    assert [one.text for one in newest_notes(given, 3)] == ["other"]
