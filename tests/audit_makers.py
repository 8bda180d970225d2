"""An audit log to sign and to tamper with."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from mlreg.controller.services.checkpointing import sign
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.registry.domain.chain import GENESIS, Link
from mlreg.registry.services import audit
from mlreg.registry.witnesses.settings import WitnessSettings
from tests.makers import PERSON, START


def record_entries(database, count, start=START):
    with database.writing() as session:
        for number in range(count):
            audit.record(
                session,
                action="deployment.promote",
                subject=f"deployment:flights:{number % 3}",
                actor=PERSON,
                body={"number": number, "reason": "because"},
                now=start + timedelta(minutes=number),
            )


def room_of(database, folder, **settings):
    witnesses = WitnessSettings(folder=folder, **settings)
    return ChoreRoom(database, None, START, ChoreSettings(witnesses=witnesses))


def sign_now(database, folder):
    return sign(room_of(database, folder))


class Superuser:
    """Somebody who may do everything to the database, and knows how the chain is made."""

    def __init__(self, url):
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self.do("SET session_replication_role = replica")  # no trigger stands in the way

    def do(self, statement, *values):
        return self._connection.execute(statement, values)

    def close(self):
        self._connection.close()

    def rows(self):
        columns = "seq, at, actor, action, subject, body, previous, format"
        found = self.do(f"SELECT {columns} FROM audit_entry ORDER BY seq").fetchall()
        return [Link(*row) for row in found]

    def set_head(self, seq, digest):
        self.do("UPDATE audit_head SET seq = %s, digest = %s", seq, digest)

    def truncate(self, last):
        """Cut the log after an entry, head and all."""
        self.do("DELETE FROM audit_entry WHERE seq > %s", last)
        self.set_head(
            *self.do("SELECT seq, digest FROM audit_entry WHERE seq = %s", last).fetchone()
        )

    def rewrite(self, change):
        """Write the whole chain anew, without a flaw: `change` gives each entry its new content."""
        digest = GENESIS
        for link in map(change, self.rows()):
            fields = {name: getattr(link, name) for name in Link.__dataclass_fields__}
            new = Link(**{**fields, "previous": digest})
            digest = new.digest
            self.do(
                "UPDATE audit_entry SET body = %s, previous = %s, digest = %s WHERE seq = %s",
                new.body,
                new.previous,
                digest,
                new.seq,
            )
        self.set_head(link.seq, digest)
