"""Approvals: whose word counts, for what, for how long, and what a promote does without."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.approvals import (
    ApprovalNotFoundError,
    ApprovalRejectedError,
    ApprovalRequiredError,
    DecisionOutdatedError,
    NotYourApprovalError,
    OwnVersionError,
)
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.oidc import Trust
from mlreg.registry.domain.revisions import (
    AlreadySoError,
    NotAcceptedError,
    ReasonRequiredError,
)
from mlreg.registry.services import access, approvals, audit, deployments, grants, oidc
from mlreg.registry.services.approvals import Opinion
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import tables
from tests.makers import PERSON, POLICY, START, make_decision, make_models

ADA, BEA, CAL = (Actor(name, "person", "approver") for name in ("ada", "bea", "cal"))
OPS, EVE = (Actor(name, "person", "operator") for name in ("ops", "eve"))
CHANGE = Change("flights", "production", OPS, "because")


class House:
    """One model whose deployment asks for approvals, and everybody's verbs."""

    def __init__(self, database, required):
        self.database = database
        self.model_id = make_models(database, versions=4)
        self.promote(1)
        with database.writing() as session:
            deployments.protect(session, CHANGE, approvals=required, now=START)
            self.decision = make_decision(session, self.model_id, 2, 1)

    def judge(self, version, champion, verdict="accepted"):
        with self.database.writing() as session:
            return make_decision(session, self.model_id, version, champion, verdict)

    def say(self, who, version=2, verdict="approved", decision=None):
        with self.database.writing() as session:
            return approvals.give(
                session,
                replace(CHANGE, actor=who),
                Opinion(version, verdict, decision),
                now=START,
            )

    def promote(self, version=2, who=OPS, **options):
        with self.database.writing() as session:
            return deployments.promote(
                session, replace(CHANGE, actor=who), version=version, now=START, **options
            )

    def rollback(self):
        with self.database.writing() as session:
            return deployments.rollback(session, CHANGE, now=START)

    def withdraw(self, who, number, *, for_others=False):
        with self.database.writing() as session:
            return approvals.withdraw(
                session, replace(CHANGE, actor=who), number, for_others=for_others, now=START
            )

    def request(self, version=2, who=OPS, cause="promote"):
        with self.database.writing() as session:
            return approvals.request(
                session, replace(CHANGE, actor=who), version=version, cause=cause, now=START
            )

    def issue(self, name="ops", role="operator", models=None):
        bearer = Actor(name, "service", role, models)
        with self.database.writing() as session:
            end = START + timedelta(minutes=15)
            return access.issue(session, bearer, end, actor=PERSON, now=START).token_id

    def revoke(self, token, after=timedelta(hours=1)):
        with self.database.writing() as session:
            access.revoke_token(session, token, actor=PERSON, now=START + after)

    def listed(self):
        with self.database.reading() as session:
            state = deployments.get_deployment(session, "flights", "production")
            return approvals.list_given(session, state).items

    def waiting(self):
        with self.database.reading() as session:
            state = deployments.get_deployment(session, "flights", "production")
            return approvals.list_waiting(session, state)

    def all(self, table):
        with self.database.reading() as session:
            return session.exec(select(table)).all()


@pytest.fixture
def house(database):
    return House(database, 2)


def test_a_promote_needs_as_many_approvals_as_the_deployment_asks_for(house):
    with pytest.raises(ApprovalRequiredError, match=r"0 of the 2 .* 2 lacking") as caught:
        house.promote()
    assert "mlreg approve flights 2" in caught.value.hint
    assert house.say(ADA).counted == 1
    with pytest.raises(ApprovalRequiredError, match=r"1 of the 2 .* 1 lacking"):
        house.promote()
    assert house.say(BEA).counted == 2
    changed = house.promote()
    assert (changed.champion, changed.approvers) == (2, ("ada", "bea"))
    (revision,) = [one for one in house.all(tables.Revision) if one.champion == 2]
    assert (revision.approvers, revision.broke_glass) == (["ada", "bea"], False)


def test_one_person_is_one_approval(house):
    house.say(ADA)
    with pytest.raises(AlreadySoError):
        house.say(ADA)
    with pytest.raises(ApprovalRequiredError):
        house.promote()


def test_the_promoter_is_no_second_person(house):
    house.say(ADA)
    house.say(OPS)
    with pytest.raises(ApprovalRequiredError, match="1 of the 2"):
        house.promote()
    assert house.promote(who=EVE).approvers == ("ada", "ops")


def test_who_made_a_version_cannot_approve_it(house):
    with pytest.raises(OwnVersionError):
        house.say(Actor("test", "person", "approver"))
    with house.database.writing() as session:
        session.get(tables.Version, (house.model_id, 2)).trained_by = "ada"
    with pytest.raises(OwnVersionError):
        house.say(ADA)


def test_an_approval_ends_with_its_decision(house):
    house.say(ADA)
    house.say(BEA)
    house.judge(2, 1)
    with pytest.raises(ApprovalRequiredError, match="0 of the 2"):
        house.promote()
    assert [one.holds for one in house.listed()] == [False, False]


def test_an_approval_ends_with_the_champion_even_when_it_comes_back(house):
    house.say(ADA)
    house.say(BEA)
    house.promote()
    assert house.rollback().champion == 1
    with pytest.raises(ApprovalRequiredError, match="0 of the 2"):
        house.promote()


def test_a_freeze_ends_no_approval(house):
    house.say(ADA)
    house.say(BEA)
    with house.database.writing() as session:
        deployments.freeze(session, CHANGE, now=START)
    assert house.promote().champion == 2


def test_a_rejection_blocks_until_it_is_withdrawn_or_judged_anew(house):
    house.say(ADA)
    house.say(BEA)
    rejection = house.say(CAL, verdict="rejected")
    with pytest.raises(ApprovalRejectedError, match="cal"):
        house.promote()
    with pytest.raises(NotYourApprovalError):
        house.withdraw(ADA, rejection.approval.id)
    house.withdraw(CAL, rejection.approval.id)
    with pytest.raises(AlreadySoError):
        house.withdraw(CAL, rejection.approval.id)
    assert house.promote().champion == 2


def test_a_rejection_blocks_where_no_approval_is_asked_for(database):
    house = House(database, 1)
    house.say(CAL, verdict="rejected")
    with database.writing() as session:
        deployments.protect(session, CHANGE, approvals=0, now=START)
    with pytest.raises(ApprovalRejectedError):
        house.promote()
    house.judge(2, 1)
    assert house.promote().champion == 2


def test_a_later_word_takes_the_place_of_the_earlier(house):
    house.say(BEA)
    house.say(ADA)
    house.say(ADA, verdict="rejected")
    with pytest.raises(ApprovalRejectedError):
        house.promote()
    house.say(ADA)
    assert house.promote().champion == 2
    assert len(house.all(tables.Approval)) == 4


def test_an_admin_takes_back_the_word_of_who_has_left(house):
    given = house.say(ADA)
    house.say(BEA)
    house.withdraw(PERSON, given.approval.id, for_others=True)
    with pytest.raises(ApprovalRequiredError, match="1 of the 2"):
        house.promote()
    with pytest.raises(ApprovalNotFoundError):
        house.withdraw(PERSON, 4711, for_others=True)


def test_a_word_on_another_decision_is_refused(house):
    newer = house.judge(2, 1)
    with pytest.raises(DecisionOutdatedError):
        house.say(ADA, decision=house.decision)
    assert house.say(ADA, decision=newer).approval.decision_id == newer


def test_force_skips_no_approval_and_broken_glass_no_gate(house):
    with pytest.raises(ApprovalRequiredError):
        house.promote(force=True)
    house.judge(2, 1, "inconclusive")
    with pytest.raises(NotAcceptedError):
        house.promote(break_glass=True)
    unsaid = replace(CHANGE, reason="")
    with pytest.raises(ReasonRequiredError), house.database.writing() as session:
        deployments.promote(session, unsaid, version=2, break_glass=True, now=START)


def test_broken_glass_is_marked_for_ever_audited_and_told(house):
    house.say(ADA)
    house.say(CAL, verdict="rejected")
    changed = house.promote(break_glass=True)
    assert (changed.champion, changed.broke_glass, changed.approvers) == (2, True, ("ada",))
    newest = house.all(tables.Revision)[-1]
    assert newest.broke_glass
    assert [e.action for e in house.all(tables.AuditEntry)][-1] == "deployment.break_glass"
    told = [m for m in house.all(tables.OutboxMessage) if m.topic == "deployment.break_glass"]
    assert [m.body["version"] for m in told] == [2]


def test_glass_that_need_not_break_stays_whole(house):
    house.say(ADA)
    house.say(BEA)
    changed = house.promote(break_glass=True)
    assert not changed.broke_glass
    assert "left whole" in changed.notes[0]


def test_a_rollback_needs_no_approval(house):
    house.say(ADA)
    house.say(BEA)
    house.promote()
    assert house.rollback().champion == 1


def test_the_first_promote_to_a_protected_deployment_needs_approvals(database):
    make_models(database)
    with database.writing() as session:
        protected = deployments.protect(session, CHANGE, approvals=1, now=START)
    assert (protected.revision, protected.champion) == (1, None)
    with pytest.raises(ApprovalRequiredError), database.writing() as session:
        deployments.promote(session, CHANGE, version=1, now=START)
    with database.writing() as session:
        approvals.give(session, replace(CHANGE, actor=ADA), Opinion(1, "approved"), now=START)
    with database.writing() as session:
        assert deployments.promote(session, CHANGE, version=1, now=START).champion == 1


def test_the_last_approval_promotes_what_waits_for_it(house):
    assert house.request(who=POLICY, cause="policy").approvers == ()
    with pytest.raises(AlreadySoError):
        house.request(who=POLICY, cause="policy")
    assert house.say(ADA).promoted is None
    assert [(one.holds, one.approvers) for one in house.waiting()] == [(True, ("ada",))]
    promoted = house.say(BEA).promoted
    assert (promoted.champion, promoted.approvers) == (2, ("ada", "bea"))
    newest = house.all(tables.Revision)[-1]
    assert (newest.cause, newest.actor) == ("policy", POLICY.name)
    assert house.waiting() == []
    actions = [entry.action for entry in house.all(tables.AuditEntry)]
    assert actions[-2:] == ["approval.given", "deployment.policy"]
    with house.database.reading() as session:
        assert audit.verify(session).first_bad is None


def complete(house):
    house.say(ADA)
    return house.say(BEA)


def test_what_waits_is_promoted_for_an_asker_whose_token_merely_ended(house):
    former = house.issue()
    house.revoke(former, timedelta(seconds=-1))  # before it was asked for
    house.issue()
    house.request()
    assert complete(house).promoted.champion == 2


@pytest.mark.parametrize("others", [0, 1])
def test_what_waits_is_not_promoted_for_an_asker_who_was_revoked(house, others):
    token = house.issue()
    for _ in range(others):
        house.issue()
    house.request()
    house.revoke(token)
    given = complete(house)
    assert (given.promoted, given.counted) == (None, 2)
    assert "ops, who asked for it, had a token revoked" in given.notes[0]
    assert len(house.waiting()) == 1
    assert house.promote(who=EVE).champion == 2


@pytest.mark.parametrize(
    ("role", "models"), [("viewer", None), ("approver", None), ("ci", frozenset({"cargo"}))]
)
def test_what_waits_is_not_promoted_for_an_asker_who_may_not(house, role, models):
    house.issue(role=role, models=models)
    house.request()
    given = complete(house)
    assert given.promoted is None
    assert "may no longer promote flights" in given.notes[0]


@pytest.mark.parametrize("kept", [True, False])
def test_what_waits_stands_on_the_grant_of_its_asker(house, kept):
    house.issue(role="viewer")
    with house.database.writing() as session:
        grants.grant(session, "ops", "flights", "ci", actor=PERSON, now=START)
    house.request()
    if not kept:
        with house.database.writing() as session:
            grants.withdraw(session, "ops", "flights", actor=PERSON, now=START)
    assert (complete(house).promoted is not None) == kept


@pytest.mark.parametrize("trusted", [True, False])
def test_what_a_pipeline_asked_for_stands_on_the_trust_in_its_issuer(house, trusted):
    claims = {"repository_id": ("1",), "repository_owner_id": ("2",)}
    url = "https://ci.example"
    trust = Trust("ci", url, "mlreg", ("RS256",), claims, "ci", frozenset({"flights"}))
    with house.database.writing() as session:
        oidc.add_issuer(session, trust, actor=PERSON, now=START)
    house.request(who=Actor(trust.principal, "service", "ci"))
    if not trusted:
        with house.database.writing() as session:
            oidc.remove_issuer(session, "ci", actor=PERSON, now=START)
    assert (complete(house).promoted is not None) == trusted


def test_a_frozen_deployment_keeps_what_waits(house):
    house.request(who=POLICY, cause="policy")
    with house.database.writing() as session:
        deployments.freeze(session, CHANGE, now=START)
    house.say(ADA)
    given = house.say(BEA)
    assert given.promoted is None
    assert "frozen" in given.notes[0]
    assert len(house.waiting()) == 1
    assert house.promote().champion == 2


def test_what_waits_is_outdated_by_a_new_decision(house):
    house.request()
    house.judge(2, 1)
    assert [one.holds for one in house.waiting()] == [False]
    house.say(ADA)
    assert house.say(BEA).promoted is None
    with pytest.raises(AlreadySoError, match="free to be promoted"):
        house.request()


def test_only_what_could_be_promoted_may_wait(house):
    with pytest.raises(NotAcceptedError):
        house.request(version=3)
    with pytest.raises(RefusedError):
        house.request(version=1)
