"""Fault 4: builds with one guarantee taken out; the checks of faults 1, 3, 5 and 8 catch each.

A mutant that survives here means that a test which was thought to watch a guarantee does not.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase
from sqlalchemy.exc import SQLAlchemyError

from mlreg.registry.domain import approvals as rules
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import approvals, audit, change, deployments, promotable
from mlreg.registry.services.approvals import Opinion
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import changes
from mlreg.registry.store.database import Database
from tests.faults import test_f01_promote_killed as killed
from tests.faults import test_f03_promotes_under_fire as fire
from tests.faults import test_f05_deployment_model as model
from tests.makers import PERSON, START, make_models

SECONDS = 2.0
CAUGHT = (AssertionError, SQLAlchemyError, BaseExceptionGroup, pytest.fail.Exception)


def check_by_fire(database, postgres):
    """Run what fault 3 runs, for a short time and without killing."""
    make_models(database, versions=fire.VERSIONS)
    with database.writing() as session:
        first = Change("flights", "production", PERSON, "first")
        deployments.promote(session, first, version=1, now=START)
    admin_url = postgres.url().replace("+psycopg", "")
    burning = fire.Fire(database, admin_url, SECONDS, least_kills=0)
    burning.burn([burning.write] * 6 + [burning.read] * 2)
    assert burning.failures == []
    fire.check(database, burning)


def check_by_kill(name):
    """Return the check of fault 1 at one failpoint."""

    def check(database, _postgres):
        url = database.engine.url.render_as_string(hide_password=False)
        killed.test_a_killed_promote_is_done_once_or_not_at_all(database, url, name)

    return check


def check_by_model(database, postgres):
    """Run the state machine of fault 5."""
    model.run_model(database, postgres, max_examples=25, phases=[Phase.generate])


def check_by_own_approval(database, _postgres):
    """Let somebody promote by their own approval alone; fault 8 does it over HTTP."""
    make_models(database, versions=2)
    change_of = Change("flights", "production", PERSON, "mine")
    with database.writing() as session:
        deployments.promote(session, change_of, version=1, now=START)
    with database.writing() as session:
        deployments.protect(session, change_of, approvals=1, now=START)
    with database.writing() as session:
        approvals.give(session, change_of, Opinion(2, "approved"), now=START)
    with database.writing() as session, pytest.raises(RefusedError):
        deployments.promote(session, change_of, version=2, force=True, now=START)


def no_lock(monkeypatch):
    unlocked = changes._LOCK_PLACE._clone()
    unlocked._for_update_arg = None
    monkeypatch.setattr(changes, "_LOCK_PLACE", unlocked)


def no_compare_and_set(monkeypatch):
    monkeypatch.setattr(change, "check_expected", lambda *_: None)


def no_idempotency(monkeypatch):
    monkeypatch.setattr(change, "_keyed_request", lambda *_: None)


def audit_outside(monkeypatch):
    record = audit.record

    def apart(session, **entry):
        database = Database(session.get_bind().url.render_as_string(hide_password=False))
        with database.writing() as another:
            seq = record(another, **entry)
        database.dispose()
        return seq

    monkeypatch.setattr(audit, "record", apart)


def promoter_approves(monkeypatch):
    def lenient(words, *, authors, **_options):
        return rules.tally(words, authors=authors, promoter="")

    monkeypatch.setattr(promotable, "tally", lenient)


MUTANTS = [
    (no_lock, check_by_fire),
    (no_compare_and_set, check_by_fire),
    (no_compare_and_set, check_by_model),
    (no_idempotency, check_by_kill("change.committed")),
    (audit_outside, check_by_kill("change.audited")),
    (promoter_approves, check_by_own_approval),
]


@pytest.mark.parametrize(("mutate", "check"), MUTANTS)
def test_every_mutant_is_caught(database, postgres, monkeypatch, mutate, check):
    mutate(monkeypatch)
    with pytest.raises(CAUGHT):
        check(database, postgres)


@pytest.mark.parametrize(
    "check", [check_by_fire, check_by_kill("change.committed"), check_by_own_approval]
)
def test_what_is_not_mutated_passes(database, postgres, check):
    check(database, postgres)
