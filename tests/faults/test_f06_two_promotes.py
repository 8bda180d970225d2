"""Fault 6: concurrent promotes that expect the same revision: one 200, the others 412."""

from __future__ import annotations

import threading

from mlreg.client.errors import StaleRevisionError
from tests.makers import make_models, put_bytes

RACERS = 8


def test_one_promote_wins_and_the_others_are_told_what_is(api, database):
    make_models(database, versions=RACERS + 1)
    put_bytes(api.parts.store, versions=RACERS + 1)
    with api.client() as client:
        tag = client.deployments.promote("flights", RACERS + 1).etag
    won, lost = [], []
    start = threading.Barrier(RACERS)

    def race(version):
        with api.client() as client:
            start.wait()
            try:
                won.append(
                    client.deployments.promote(
                        "flights", version, force=True, reason="race", expect=tag
                    )
                )
            except StaleRevisionError as error:
                lost.append(error)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(1, RACERS + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = won
    assert winner.revision == 2
    assert len(lost) == RACERS - 1
    assert all(error.status == 412 for error in lost)
    assert all(error.current["champion"] == winner.champion for error in lost)
    with api.client() as client:
        assert [item.number for item in client.deployments.history("flights")] == [2, 1]
