"""The audit log under contention: many writers, one chain."""

from __future__ import annotations

import threading

from mlreg.registry.services import audit
from tests.makers import PERSON, START

WRITERS, ENTRIES = 8, 40


def test_entries_of_many_writers_make_one_chain(database):
    def write(name):
        for number in range(ENTRIES):
            with database.writing() as session:
                body = {"n": number, "said": 'é"\\ previous":"x'}
                audit.record(
                    session, action="act", subject=name, actor=PERSON, body=body, now=START
                )

    threads = [threading.Thread(target=write, args=(f"writer-{n}",)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        links = list(audit.list_links(session, 0, WRITERS * ENTRIES))
        found = audit.verify(session)
    assert [link.seq for link, _ in links] == list(range(1, WRITERS * ENTRIES + 1))
    assert (found.entries, found.first_bad) == (WRITERS * ENTRIES, None)
