"""Fault 41: somebody with every right over the database tampers with the audit log.

Whatever is done to one entry, `audit verify` names it; what is done to all of them without a flaw,
a checkpoint that somebody holds outside the database disproves.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlreg.client.errors import IntegrityError
from mlreg.controller.services.checkpointing import sign, walk
from mlreg.registry.domain.notes import parse_notes
from mlreg.registry.services import audit
from mlreg.registry.services.checkpoints import AuditBrokenError, held_by
from mlreg.registry.services.outbox import list_events, order_events
from tests.audit_makers import Superuser, record_entries, room_of, sign_now

ENTRIES = 30


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def log(database, folder):
    """A log of 30 entries with checkpoints of 10 and of 20 of them."""
    for _ in range(2):
        record_entries(database, 10)
        sign_now(database, folder)
    record_entries(database, 10)
    return database


@pytest.fixture
def superuser(postgres, database_url):
    name = database_url.split("?")[0].rpartition("/")[2]
    someone = Superuser(postgres.url(name))
    yield someone
    someone.close()


def verified(database, held=()):
    with database.reading() as session:
        return audit.verify(session, held)


def held_in(folder):
    return [held_by(note) for note in parse_notes((folder / "checkpoints").read_text())]


def swap(superuser, one, other):
    """Let two entries change places."""
    superuser.do("UPDATE audit_entry SET seq = -1 WHERE seq = %s", one)
    superuser.do("UPDATE audit_entry SET seq = %s WHERE seq = %s", one, other)
    superuser.do("UPDATE audit_entry SET seq = %s WHERE seq = -1", other)


COPY = (
    "INSERT INTO audit_entry SELECT {seq}, format, at, 'mallory', action, subject, body, previous,"
    " digest FROM audit_entry WHERE seq = {of}"
)
TAMPERINGS = [
    ("UPDATE audit_entry SET body = replace(body, 'because', 'be cause') WHERE seq = 7", 7),
    ("UPDATE audit_entry SET actor = 'mallory' WHERE seq = 7", 7),
    ("UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE seq = 12", 12),
    ("UPDATE audit_entry SET digest = previous WHERE seq = 12", 12),
    ("UPDATE audit_entry SET format = 2 WHERE seq = 12", 12),
    ("DELETE FROM audit_entry WHERE seq = 15", 15),
    ("DELETE FROM audit_entry WHERE seq = 1", 1),
    ("DELETE FROM audit_entry WHERE seq = 30", 30),
    ("DELETE FROM audit_entry WHERE seq > 25", 26),
    (COPY.format(seq=31, of=30), 31),
    (COPY.format(seq=0, of=1), 0),
    ("UPDATE audit_head SET seq = 29", 29),
]


@pytest.mark.parametrize(("statement", "first_bad"), TAMPERINGS)
def test_the_first_bad_entry_is_named(log, superuser, statement, first_bad):
    assert verified(log).first_bad is None
    assert superuser.do(statement).rowcount > 0
    assert verified(log).first_bad == first_bad


def test_entries_that_changed_places_are_named(log, superuser):
    swap(superuser, 8, 9)
    assert verified(log).first_bad == 8


def test_a_truncation_is_disproved_by_a_checkpoint_and_by_nothing_else(log, superuser, folder):
    superuser.truncate(15)
    assert verified(log).first_bad is None  # the chain alone knows of no end
    found = verified(log, held_in(folder))
    assert (found.first_bad, "log ends at 15" in found.reason) == (16, True)


def test_a_flawless_rewriting_is_disproved_from_the_last_checkpoint_that_holds(
    log, superuser, folder
):
    superuser.rewrite(
        lambda link: (
            replace(link, body=link.body.replace("because", "no")) if link.seq == 13 else link
        )
    )
    assert verified(log).first_bad is None
    found = verified(log, held_in(folder))
    assert (found.first_bad, "11..20" in found.reason) == (11, True)


def test_what_came_after_the_last_checkpoint_can_be_rewritten_as_the_documents_say(
    log, superuser, folder
):
    superuser.rewrite(
        lambda link: (
            replace(link, body=link.body.replace("because", "no")) if link.seq == 21 else link
        )
    )
    assert verified(log, held_in(folder)).first_bad is None


@pytest.mark.parametrize("last", [15, 25])
def test_the_signer_signs_no_log_that_it_knows_to_be_another(log, superuser, folder, last):
    """Even with its own table of checkpoints rewritten: the folder is asked first."""
    sign_now(log, folder)
    superuser.truncate(last)
    superuser.do("DELETE FROM checkpoint WHERE size > %s", last)
    record_entries(log, 40 - last)  # the log is longer again than what was signed
    before = (folder / "checkpoints").read_bytes()
    with pytest.raises(AuditBrokenError) as caught:
        sign(room_of(log, folder))
    assert caught.value.seq == 1  # the whole log is read: it is not what the folder's root says
    assert (folder / "checkpoints").read_bytes() == before
    order_events(log)
    with log.reading() as session:
        topics = [event.topic for event in list_events(session, 0)]
    assert topics == ["audit.broken"]


def test_new_entries_are_verified_before_they_are_signed(log, superuser, folder):
    superuser.do("UPDATE audit_entry SET actor = 'mallory' WHERE seq = 25")
    with pytest.raises(AuditBrokenError) as caught:
        sign(room_of(log, folder))
    assert caught.value.seq == 25


def test_the_daily_walk_holds_the_folder_against_the_log(log, superuser, folder):
    assert walk(room_of(log, folder)) == f"{ENTRIES} entries hold"
    superuser.truncate(15)
    with pytest.raises(AuditBrokenError):
        walk(room_of(log, folder))


def test_a_client_that_promoted_once_disproves_the_truncation(
    log, superuser, folder, client, tmp_path, monkeypatch, api
):
    """The whole way: the answer of a change makes its client a witness, and the CLI says so."""
    from mlreg.cli.commands.audit import verify
    from tests.makers import make_models, put_bytes

    monkeypatch.setenv("MLREG_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("MLREG_URL", api.url)
    monkeypatch.setenv("MLREG_TOKEN", api.token)
    make_models(log)
    put_bytes(api.parts.store)
    sign_now(log, folder)
    api.app.state.caches.refresh()
    client.deployments.promote("flights", 1)
    assert client.audit.find_witnessed().splitlines()[1] == str(ENTRIES + 1)
    verify()
    superuser.truncate(20)
    superuser.do("DELETE FROM checkpoint WHERE size > 20")
    with pytest.raises(IntegrityError, match="entry 21 is bad"):
        verify()
