"""A champion that was registered by hand: its bins, its reference, and the hours before it."""

import numpy as np
import pytest
from sqlmodel import select

from mlreg.controller.domain.labels import label_bins
from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.windows import DAY, HOUR, Interval
from mlreg.controller.services import comparing, referencing
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.profiles import find_bins, find_reference, window_profiles
from mlreg.controller.services.rollups import load_stack
from mlreg.controller.services.snapshots import freeze
from mlreg.controller.store import tables
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.tables import Contract, Model, Version
from tests.automation_makers import POLICY, START, Automation
from tests.feedback_makers import FEATURES
from tests.makers import make_version

WORK = (referencing.KIND, referencing.HANDLER)


class ByHand(Automation):
    """Version 1 came by hand: a contract, no bins, no reference."""

    def _champion(self, session, number):
        model = session.exec(select(Model).where(Model.name == "flights")).one()
        make_version(session, model, number)
        contract = FeatureContract.from_json(FEATURES)
        body = contract.to_document()
        session.add(Contract(digest=contract.digest, kind="feature", body=body))
        session.flush()
        version = session.get(Version, (model.id, number))
        version.feature_contract = contract.digest
        version.created_at = START - DAY

    @property
    def log_of(self):
        return self.model.id, FeatureContract.from_json(FEATURES).digest

    def work(self, *extra):
        return super().work(WORK, *extra)

    def stored(self):
        """Return hours, the stack of days, and the reference's row."""
        whole = Interval(START - 60 * DAY, START + 60 * DAY)
        with self.database.reading() as session:
            bins = find_bins(session, self.log_of[1])
            if bins is None:
                return [], None, None
            hours = window_profiles(session, *self.log_of, whole.start, whole.end)
            days = load_stack(session, self.log_of, bins, "day", whole)
            row = session.get(tables.ReferenceProfile, (self.model.id, 1))
        return hours, days, row


@pytest.fixture
def by_hand(database, store):
    return ByHand(database, store, policy=None, promoted=False)


def log_before(by_hand, days):
    for number in range(-days, 0):
        by_hand.log(START + number * DAY)
        by_hand.clock_now = START + (number + 1) * DAY
    by_hand.clock_now = START


def test_hours_before_the_bins_are_profiled_once(by_hand):
    log_before(by_hand, 5)
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    by_hand.log(START)
    by_hand.pass_to(START + DAY)
    hours, days, reference = by_hand.stored()
    assert reference.source == "log"
    assert reference.labels is not None
    assert sum(hour.profile.rows for hour in hours) == 6 * 480
    assert days.stack.rows.tolist() == [480] * 6
    assert by_hand.readings("rows") == [(START, "final", 480.0)]
    assert by_hand.readings("psi", "temp")[0][2] < 0.1
    kinds = [job.kind for job in by_hand.all(tables.Job)]
    assert kinds.count("profile") == 1
    by_hand.log(START + DAY)
    by_hand.pass_to(START + 2 * DAY)
    hours, days, _ = by_hand.stored()
    assert sum(hour.profile.rows for hour in hours) == 7 * 480
    assert [job.kind for job in by_hand.all(tables.Job)].count("profile") == 1


def test_the_reference_is_of_the_snapshot_that_the_registration_names(by_hand):
    log_before(by_hand, 3)
    by_hand.work()
    drain_model(by_hand.database, by_hand.store, by_hand.model.id, now=START)
    with by_hand.database.writing() as session:
        model = session.get_one(Model, by_hand.model.id)
        times = {"start": START - 3 * DAY, "end": START - DAY, "labels_until": START}
        snapshot = freeze(session, model, **times, exclude=(), actor=SYSTEM, now=START)
        version = session.get_one(Version, (model.id, 1))
        version.snapshots = ["sha256:" + "0" * 64, snapshot.digest]
        session.add(version)
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    by_hand.pass_to(START + DAY)
    _, _, row = by_hand.stored()
    assert row.source == "snapshot"
    with by_hand.database.reading() as session:
        reference = find_reference(session, by_hand.model.id, 1)
    assert reference.rows == 2 * 480
    assert reference.column("score").known == 0  # those of other versions
    assert reference.column("temp").known == 2 * 480


def test_a_snapshot_that_has_lost_rows_is_no_reference(by_hand):
    """Its bytes are there for some days; whoever was erased from it is in them."""
    log_before(by_hand, 3)
    by_hand.work()
    drain_model(by_hand.database, by_hand.store, by_hand.model.id, now=START)
    with by_hand.database.writing() as session:
        model = session.get_one(Model, by_hand.model.id)
        times = {"start": START - 3 * DAY, "end": START - DAY, "labels_until": START}
        snapshot = freeze(session, model, **times, exclude=(), actor=SYSTEM, now=START)
        session.get_one(Version, (model.id, 1)).snapshots = [snapshot.digest]
        lost = {"model_id": model.id, "cause": "erasure", "rows": 1, "at": START}
        session.add(tables.LostSegment(digest=snapshot.body.predictions[0], **lost))
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    by_hand.pass_to(START + DAY)
    assert by_hand.stored()[2].source == "log"


def test_with_nothing_logged_windows_are_read_all_the_same(by_hand):
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    by_hand.pass_to(START + DAY)
    assert by_hand.states("rows") == [(START, "empty")]
    assert by_hand.stored() == ([], None, None)
    assert [job.kind for job in by_hand.all(tables.Job)].count("profile") == 1


def test_a_reference_from_before_label_profiles_gets_one(by_hand):
    """Of its snapshot alone, once, and no window waits for it."""
    log_before(by_hand, 3)
    by_hand.work()
    drain_model(by_hand.database, by_hand.store, by_hand.model.id, now=START)
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    by_hand.pass_to(START + DAY)
    with by_hand.database.writing() as session:
        session.get_one(tables.ReferenceProfile, (by_hand.model.id, 1)).labels = None
        model = session.get_one(Model, by_hand.model.id)
        times = {"start": START - 2 * DAY, "end": START, "labels_until": START}
        snapshot = freeze(session, model, **times, exclude=(), actor=SYSTEM, now=START)
        session.get_one(Version, (model.id, 1)).snapshots = [snapshot.digest]
    before = [job.kind for job in by_hand.all(tables.Job)].count("profile")
    by_hand.clock_now = START + 2 * DAY
    assert by_hand.tick().windows == 1
    by_hand.pass_to(START + 3 * DAY)
    _, _, row = by_hand.stored()
    with by_hand.database.reading() as session:
        bins = find_bins(session, by_hand.log_of[1])
    labels = Profile.from_bytes(row.labels, label_bins(("0", "1"), bins))
    assert labels.rows == 2 * 480 - 19  # the last hour's labels came later
    assert [job.kind for job in by_hand.all(tables.Job)].count("profile") == before + 1


def test_a_drain_between_reading_and_writing_is_not_lost(by_hand, monkeypatch):
    """Rows of the same day are drained just before the day's hours are written."""
    log_before(by_hand, 2)
    by_hand.promote(1, START - HOUR)
    by_hand.apply(POLICY)
    once = []
    real = referencing._profile_day

    def interrupted(attempt, bins, day, digests):
        found = real(attempt, bins, day, digests)
        if digests and not once:
            once.append(day)
            from tests.automation_makers import rows_of

            table, _ = rows_of(day, seed=7, rows=100)
            table = table.set_column(
                0, "prediction_id", [[f"late-{number}" for number in range(100)]]
            )
            by_hand.accept("predictions", "late", table, START)
            drain_model(by_hand.database, by_hand.store, by_hand.model.id, now=START)
        return found

    monkeypatch.setattr(referencing, "_profile_day", interrupted)
    by_hand.pass_to(START + DAY)
    assert once
    hours, days, _ = by_hand.stored()
    assert sum(hour.profile.rows for hour in hours) == 2 * 480 + 100
    assert int(np.sum(days.stack.rows)) == 2 * 480 + 100


def test_a_drain_that_began_before_there_were_bins_counts_its_rows(by_hand, monkeypatch):
    """Its hours were profiled under no contract; the bins came before it could commit."""
    from mlreg.controller.services import draining

    log_before(by_hand, 1)
    by_hand.promote(1, START - HOUR)
    real = draining.drain_profiles

    def later(parts, bins):
        found = real(parts, bins)
        if not bins:
            monkeypatch.setattr(draining, "drain_profiles", real)
            from mlreg.controller.services.profiles import ensure_bins
            from tests.automation_makers import rows_of

            with by_hand.database.writing() as session:
                contract = FeatureContract.from_json(FEATURES)
                ensure_bins(session, contract, rows_of(START)[0], now=START)
        return found

    monkeypatch.setattr(draining, "drain_profiles", later)
    draining.drain_model(by_hand.database, by_hand.store, by_hand.model.id, now=START)
    hours, _, _ = by_hand.stored()
    assert sum(hour.profile.rows for hour in hours) == 480


def test_a_trigger_on_all_features_has_windows_told_apart(database, store):
    policy = POLICY.replace('- {schedule: "0 3 * * *"}', "- {drift: domain_auc, above: 0.7}")
    automation = Automation(database, store, policy=policy)
    automation.log(START)
    automation.clock_now = START + DAY
    automation.tick()
    assert automation.work() == ["drain"]
    automation.tick()
    asked = [job.payload for job in automation.all(tables.Job) if job.kind == comparing.KIND]
    assert [one["question"] for one in asked] == ["joint"]
    assert asked[0]["start"] == START.isoformat()
    automation.tick()
    assert len([job for job in automation.all(tables.Job) if job.kind == comparing.KIND]) == 1
