"""Makers of readings that look unusual, and of what comes of them."""

from datetime import timedelta

from sqlmodel import select

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import watching
from mlreg.controller.store.readings import write_readings
from mlreg.controller.store.tables import Alert, AlertEntry
from mlreg.registry.store.tables import OutboxMessage
from tests.makers import START

DAY = timedelta(days=1)


def window(number):
    return Interval(START + number * DAY, START + (number + 1) * DAY)


def reading(number, subject, verdict, monitor="psi", value=0.5, state="final"):
    span = window(number)
    value = None if state == "outage" else value
    return WindowReading(monitor, subject, span.start, span.end, value, 100, state, verdict=verdict)


class Stream:
    """Windows of one model, read one after the other."""

    def __init__(self, database, model_id, rules=None):
        self.database, self.place, self.rules = database, (model_id, "production"), rules

    def write(self, session, number, *found, again=False):
        now = window(number).end
        write_readings(session, self.place, found, now=now)
        watching.watch(
            session, self.place, [window(number)], now=now, rules=self.rules, again=again
        )

    def reads(self, number, *found, again=False):
        with self.database.writing() as session:
            self.write(session, number, *found, again=again)

    def drifts(self, number, *features, monitor="psi", normal=("calm",)):
        """Read a window in which these features drift, the first one most, and others do not."""
        odd = [
            reading(number, name, "unusual", monitor, 1.0 - place / 1000)
            for place, name in enumerate(features)
        ]
        self.reads(number, *odd, *(reading(number, name, "normal", monitor) for name in normal))

    def alerts(self):
        return self.all(Alert)

    def entries(self):
        return [(one.what, one.line) for one in self.all(AlertEntry)]

    def events(self):
        found = self.all(OutboxMessage)
        return [one for one in found if one.topic.startswith(("alert.", "incident."))]

    def told(self):
        """Return the topics of which people are told."""
        return [one.topic for one in self.events() if not one.body.get("quiet")]

    def all(self, table):
        with self.database.reading() as session:
            return list(session.exec(select(table).order_by(table.id)).all())
