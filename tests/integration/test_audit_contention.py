"""The audit log under contention: many writers, one chain."""

from __future__ import annotations

import threading

from mlreg.registry.services import audit
from tests.makers import PERSON, START

WRITERS, ENTRIES = 8, 40


def test_entries_of_many_writers_make_one_chain(database):
    seqs = []

    def write(name):
        for number in range(ENTRIES):
            with database.writing() as session:
                body = {"n": number, "said": 'é"\\ previous":"x'}
                seqs.append(
                    audit.record(
                        session, action="act", subject=name, actor=PERSON, body=body, now=START
                    )
                )

    threads = [threading.Thread(target=write, args=(f"writer-{n}",)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, WRITERS * ENTRIES + 1))
    with database.reading() as session:
        found = audit.verify(session)
    assert (found.entries, found.first_bad) == (WRITERS * ENTRIES, None)
