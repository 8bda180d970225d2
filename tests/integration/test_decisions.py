from __future__ import annotations

import pytest
from sqlmodel import select

from mlreg.controller.services.decisions import (
    DecisionNotFoundError,
    InvalidJudgementError,
    JudgedPair,
    find_anchor,
    get_decision,
    list_decisions,
    record_decision,
)
from mlreg.registry.services.deployments import Change, promote, rollback
from mlreg.registry.store.tables import AuditEntry, Model
from tests.makers import GUARD, PERSON, POLICY, START, make_models

JUDGEMENT = {"verdict": "accepted", "superior": True, "reason": "good", "gates": [], "rows": 7}


@pytest.fixture
def world(database):
    make_models(database, versions=6)
    with database.writing() as session:
        model = session.exec(select(Model)).one()
        yield World(session, model)


class World:
    """One transaction in which things are judged and promoted."""

    def __init__(self, session, model):
        self.session, self.model = session, model

    def change(self, actor=POLICY, reason=""):
        return Change(self.model.name, "production", actor, reason, None)

    def judge(self, challenger, champion, **judgement):
        pair = JudgedPair(self.model, "production", challenger, champion, snapshot=None)
        form = {**JUDGEMENT, **judgement}
        return record_decision(self.session, pair, form, actor=POLICY, now=START)

    def promote(self, version, *, force=False):
        promote(
            self.session, self.change(PERSON, "because"), version=version, force=force, now=START
        )

    def accept(self, challenger, champion, *, superior):
        self.judge(challenger, champion, superior=superior)
        self.promote(challenger)

    def anchor(self):
        return find_anchor(self.session, self.model, "production")


def test_a_decision_keeps_all_its_evidence_and_an_audit_entry(world):
    decision = world.judge(2, 1)
    assert get_decision(world.session, decision.id).evidence == JUDGEMENT
    entry = world.session.exec(
        select(AuditEntry).where(AuditEntry.action == "decision.recorded")
    ).one()
    assert '"verdict":"accepted"' in entry.body
    assert entry.subject == "flights/2"
    assert [one.id for one in list_decisions(world.session, world.model)] == [decision.id]


def test_what_is_no_judgement_is_refused(world):
    with pytest.raises(InvalidJudgementError):
        world.judge(2, 1, verdict="maybe")
    with pytest.raises(DecisionNotFoundError):
        get_decision(world.session, 4711)


def test_the_anchor_moves_only_with_superior_versions(world):
    assert world.anchor() is None
    world.promote(1)
    assert world.anchor() == 1  # nothing was ever superior: the first champion
    world.accept(2, 1, superior=False)
    assert world.anchor() == 1
    world.accept(3, 2, superior=True)
    assert world.anchor() == 3
    world.accept(4, 3, superior=False)
    assert world.anchor() == 3


def test_a_superior_version_that_was_never_promoted_is_no_anchor(world):
    world.promote(1)
    world.judge(2, 1)
    assert world.anchor() == 1


def test_a_forced_version_is_no_anchor(world):
    world.promote(1)
    world.accept(2, 1, superior=True)
    world.promote(5, force=True)
    assert world.anchor() == 2


@pytest.mark.parametrize(("actor", "cause"), [(PERSON, "rollback"), (GUARD, "guard")])
def test_a_superior_version_that_was_rolled_back_is_no_anchor(world, actor, cause):
    world.promote(1)
    world.accept(2, 1, superior=True)
    world.accept(3, 2, superior=True)
    assert world.anchor() == 3
    rollback(world.session, world.change(actor, "bad"), cause=cause, now=START)
    assert world.anchor() == 2
    rollback(world.session, world.change(actor, "bad too"), cause=cause, now=START)
    assert world.anchor() == 1  # not 2, though it was superior
