"""What a writing session leaves for its end: it goes with the commit, or nowhere."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.services import audit
from tests.makers import PERSON, START


def record(session, subject):
    audit.record(session, action="act", subject=subject, actor=PERSON, body={}, now=START)


def subjects(database):
    with database.reading() as session:
        assert audit.verify(session).first_bad is None
        return [link.subject for link, _ in audit.list_links(session, 0, 10)]


def test_it_goes_with_the_commit_in_its_order(database):
    with database.writing() as session:
        record(session, "first")
        record(session, "second")
    assert subjects(database) == ["first", "second"]


def test_what_is_asked_meanwhile_sees_it(database):
    with database.writing() as session:
        record(session, "first")
        assert session.execute(text("SELECT count(*) FROM audit_entry")).scalar_one() == 1
        record(session, "second")
    assert subjects(database) == ["first", "second"]


def test_a_rollback_forgets_it(database):
    with database.writing() as session:
        record(session, "never")
        session.rollback()
    assert subjects(database) == []


def undone(session):
    record(session, "undone")
    raise ZeroDivisionError


def test_it_ends_with_its_savepoint(database):
    with database.writing() as session:
        record(session, "kept")
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            undone(session)
        with session.begin_nested():
            record(session, "inside")
        record(session, "after")
    assert subjects(database) == ["kept", "inside", "after"]


def end_with(database, statement):
    with database.writing() as session:
        record(session, "never")
        session.at_end(text(statement), {})


def test_its_error_undoes_all_and_leaves_the_connection_of_use(database):
    with pytest.raises(DBAPIError) as caught:
        end_with(database, "SELECT 1 / 0")
    assert caught.value.orig.sqlstate == "22012"
    with database.writing() as session:
        record(session, "next")
    assert subjects(database) == ["next"]


def test_a_connection_that_breaks_at_the_end_is_an_outage(database):
    with pytest.raises(DatabaseUnreachableError):
        end_with(database, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert subjects(database) == []
