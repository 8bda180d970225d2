"""Makers of a deployment under a policy: rows, a champion, a policy, and a worker at hand."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from sqlmodel import select

from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.connections import Connections
from mlreg.controller.services import claims, feedback, guarding, measuring, profiles
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.services.tick import tick
from mlreg.controller.store.readings import list_readings
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.services import deployments
from mlreg.registry.store import tables
from tests.feedback_makers import FEATURES, make_model
from tests.makers import PERSON, make_version

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {schedule: "0 3 * * *"}
cooldown: 1h
retrain: {rounds: 10}
"""


def rows_of(day, *, rows=480, seed=0, version=1, broken=(), shift=0.0, quality=1.0):
    """One day of predictions, evenly spread; `broken` hours have the feed's default."""
    rng = np.random.default_rng([seed, day.toordinal()])
    times = [day + DAY * number / rows for number in range(rows)]
    temp = rng.normal(20.0 + shift, 8.0, rows)
    chance = 1 / (1 + np.exp(-(temp - 20 - shift) / 8))
    temp[[time.hour in broken for time in times]] = 0.0
    score = np.clip(quality * chance + (1 - quality) * rng.random(rows), 0.01, 0.99)
    table = pa.table(
        {
            "prediction_id": [f"{day:%Y%m%d}-{number}" for number in range(rows)],
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "version": pa.array([version] * rows, pa.int32()),
            "score": score,
            "temp": temp,
            "hour": np.array([time.hour for time in times]),
            "carrier": rng.choice(["AA", "UA"], rows),
            "rain": rng.random(rows) < 0.3,
        }
    )
    return table, (rng.random(rows) < chance).astype(float)


def labels_of(table, values, *, delay=HOUR):
    times = [time + delay for time in table["time"].to_pylist()]
    return pa.table(
        {
            "prediction_id": table["prediction_id"],
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "label": values,
        }
    )


class Automation:
    """One model, its champion, its policy; days are logged, time passes, jobs are done."""

    def __init__(self, database, store, *, policy=POLICY, now=START, promoted=True):
        self.database, self.store, self.clock_now = database, store, now
        self.executor = self.folder = None
        self.connections = Connections()
        self.model = make_model(database, features=FEATURES, delay=10 * DAY)
        with database.writing() as session:
            installation = session.exec(select(tables.Installation)).one()
            installation.virtual_now, installation.ever_virtual = now, True
            self._champion(session, 1)
        if promoted:
            self.promote(1, now - DAY)
        if policy:
            self.apply(policy)

    def _champion(self, session, number):
        model = session.exec(select(tables.Model).where(tables.Model.name == "flights")).one()
        make_version(session, model, number)
        contract = FeatureContract.from_json(FEATURES)
        if session.get(tables.Contract, contract.digest) is None:
            body = contract.to_document()
            session.add(tables.Contract(digest=contract.digest, kind="feature", body=body))
            session.flush()
        version = session.get(tables.Version, (model.id, number))
        version.feature_contract = contract.digest
        version.trainer, version.lane, version.created_at = "lightgbm", "full", START - DAY
        reference, _ = rows_of(START - 30 * DAY, rows=5_000, seed=9)
        bins: Bins = profiles.ensure_bins(session, contract, reference, now=START)
        profile = profiles.profile_table(reference, bins)
        profiles.store_reference(session, model.id, number, contract.digest, profile)

    def add_version(self, number):
        with self.database.writing() as session:
            self._champion(session, number)

    def promote(self, number, at, **options):
        with self.database.writing() as session:
            change = deployments.Change("flights", "production", PERSON, "because")
            deployments.promote(session, change, version=number, now=at, force=True, **options)

    def apply(self, text, actor=PERSON):
        with self.database.writing() as session:
            return apply_policy(session, text, git=None, actor=actor, now=self.clock_now)

    def now(self):
        return self.clock_now

    def log(self, day, *, at=None, labelled=True, **options):
        table, values = rows_of(day, **options)
        self.accept("predictions", f"p{day:%Y%m%d}", table, at or day + 23 * HOUR)
        if labelled:
            self.accept("labels", f"l{day:%Y%m%d}", labels_of(table, values), at or day + 23 * HOUR)

    def accept(self, kind, batch_id, table, at):
        with self.database.writing() as session:
            model = session.get_one(tables.Model, self.model.id)
            feedback.accept(session, model, kind, batch_id, table, now=at)

    def tick(self):
        return tick(self.database, now=self.clock_now)

    def work(self, *extra):
        """Do every job that is queued, one after the other, as a worker would; return the kinds."""
        handlers = {
            "drain": Handler(self._drain),
            "measure": measuring.HANDLER,
            "guard": guarding.HANDLER,
            **dict(extra),
        }
        done = []
        while lease := claims.claim(self.database, "test", sorted(handlers), 30.0):
            attempt = Attempt(
                lease,
                self.database,
                self.store,
                self,
                self.executor,
                self.folder,
                threading.Event(),
                connections=self.connections,
            )
            handlers[lease.kind].perform(attempt)
            if not attempt.finished:
                with attempt.finish():
                    pass
            done.append(lease.kind)
        return done

    def _drain(self, attempt):
        model_id = attempt.lease.payload["model_id"]
        drain_model(self.database, self.store, model_id, now=self.clock_now)

    def pass_to(self, moment):
        """Let time pass to a moment, and do everything that is due then; return the firings."""
        self.clock_now = moment
        firings = []
        for _ in range(20):
            report = self.tick()
            firings += report.firings
            assert report.failed == []
            if report.is_idle:
                break
            self.work()
        return firings

    def readings(self, monitor, subject=""):
        """Return (start, state, value) of one monitor, oldest first."""
        with self.database.reading() as session:
            found = list_readings(
                session,
                model_id=self.model.id,
                environment="production",
                monitors=[monitor],
                subject=subject,
            )
        return [(one.start, one.state, one.value) for one in found]

    def states(self, monitor, subject=""):
        """Return (start, state) of one monitor, oldest first."""
        return [(start, state) for start, state, _ in self.readings(monitor, subject)]

    def value(self, monitor, start, subject=""):
        """Return the value of one monitor in the window that starts then."""
        found = {one: value for one, _, value in self.readings(monitor, subject)}
        return found[start]

    def all(self, table):
        with self.database.reading() as session:
            return list(session.exec(select(table).order_by(*table.__table__.primary_key)).all())
