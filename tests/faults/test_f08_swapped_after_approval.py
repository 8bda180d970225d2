"""Fault 8: what was approved is swapped, approved by its own maker, or long past: no promote.

Over HTTP, each with a token of their own, as an attacker inside the house would try it.
"""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import select

from mlreg.client.errors import NotAllowedError, RefusedError
from mlreg.controller.api import decisions
from mlreg.registry.services.access import issue_token
from mlreg.registry.store import tables
from mlreg.registry.store.clock import SystemClock
from tests.makers import PERSON, make_decision, make_models, put_bytes

ROLES = {"maker": "admin", "ops": "operator", "ada": "approver", "bea": "approver", "bot": "ci"}


class Crew:
    """A protected deployment, a judged challenger, and a client for everybody."""

    def __init__(self, api, database):
        self.api, self.database, self.clients = api, database, {}
        self.model_id = make_models(database, versions=4)
        put_bytes(api.parts.store, versions=4)
        now = SystemClock().now()
        with database.writing() as session:
            self.tokens = {
                name: issue_token(
                    session, name, kind="person", role=role, actor=PERSON, now=now
                ).bearer
                for name, role in ROLES.items()
            }
        with database.writing() as session:
            session.execute(text("UPDATE version SET created_by = 'maker'"))
        self.client("maker").deployments.promote("flights", 1)
        self.client("maker").deployments.protect("flights", 1)
        self.decision = self.judge(2)

    def client(self, name):
        return self.clients.setdefault(name, self.api.client(self.tokens[name]))

    def close(self):
        for client in self.clients.values():
            client.transport.close()

    def judge(self, version, verdict="accepted"):
        with self.database.writing() as session:
            return make_decision(session, self.model_id, version, 1, verdict)

    def refused(self, who="ops", version=2, code="approval_required", **options):
        with pytest.raises(RefusedError) as caught:
            self.client(who).deployments.promote("flights", version, **options)
        assert caught.value.code == code
        assert self.client("ops").deployments.get("flights").champion == 1
        return caught.value


@pytest.fixture
def extra_routers():
    return (decisions.router,)


@pytest.fixture
def crew(api, database):
    crew = Crew(api, database)
    yield crew
    crew.close()


def test_what_was_approved_can_be_promoted(crew):
    crew.refused()
    given = crew.client("ada").approvals.judge(crew.decision, "approved", reason="looks good")
    assert (given.approvals, given.approvals_required, given.holds) == (1, 1, True)
    changed = crew.client("ops").deployments.promote("flights", 2)
    assert (changed.champion, changed.approvers) == (2, ("ada",))


def test_a_version_swapped_after_its_approval_is_not_promoted(crew):
    crew.client("ada").approvals.give("flights", 2)
    with crew.database.writing() as session:
        other = session.get(tables.Version, (crew.model_id, 3)).manifest_digest
        session.get(tables.Version, (crew.model_id, 2)).manifest_digest = other
    crew.refused()


def test_a_report_swapped_after_its_approval_is_not_promoted(crew):
    crew.client("ada").approvals.judge(crew.decision, "approved")
    crew.judge(2)
    crew.refused()
    with pytest.raises(RefusedError) as caught:
        crew.client("bea").approvals.judge(crew.decision, "approved")
    assert caught.value.code == "decision_outdated"


def test_nobody_approves_what_they_made_or_promote_what_they_approved(crew):
    with pytest.raises(RefusedError) as caught:
        crew.client("maker").approvals.give("flights", 2)
    assert caught.value.code == "own_version"
    crew.client("ada").approvals.give("flights", 2)
    with pytest.raises(NotAllowedError):
        crew.client("ada").deployments.promote("flights", 2)
    with crew.database.writing() as session:
        session.execute(text("UPDATE token SET role = 'admin' WHERE name = 'ada'"))
    crew.api.app.state.caches.tokens._bearers.clear()
    crew.refused(who="ada")


def test_a_stale_approval_promotes_nothing(crew):
    crew.client("ada").approvals.give("flights", 2)
    maker = crew.client("maker").deployments
    maker.promote("flights", 3, force=True, break_glass=True, reason="meanwhile")
    maker.rollback("flights")
    crew.refused()
    assert [one.holds for one in crew.client("ops").approvals.list("flights").items] == [False]


def test_only_approvers_approve_and_only_owners_protect(crew):
    for name in ("ops", "bot"):
        with pytest.raises(NotAllowedError):
            crew.client(name).approvals.give("flights", 2)
    for name in ("ops", "bot", "ada"):
        with pytest.raises(NotAllowedError):
            crew.client(name).deployments.protect("flights", 0)


def test_broken_glass_is_for_those_who_may_and_never_for_damaged_files(crew):
    with pytest.raises(NotAllowedError):
        crew.client("bot").deployments.promote("flights", 2, break_glass=True, reason="mine")
    with crew.database.writing() as session:
        for blob in session.exec(select(tables.Blob)).all():
            blob.state = "corrupt"
    with pytest.raises(Exception, match="corrupt") as caught:
        crew.client("ops").deployments.promote(
            "flights", 2, break_glass=True, force=True, reason="now!"
        )
    assert caught.value.code == "blob_unfit"


def test_a_word_said_twice_is_refused_plainly(crew):
    crew.client("ada").approvals.give("flights", 2)
    with pytest.raises(RefusedError) as caught:
        crew.client("ada").approvals.give("flights", 2)
    assert caught.value.code == "already_so"
    assert "approved by ada" in str(caught.value)
