"""Who waits for an end waits through a short outage of the server, and not for ever."""

from dataclasses import dataclass

import pytest

from mlreg.client import waiting
from mlreg.client.errors import UnreachableError


@dataclass(frozen=True)
class Seen:
    is_open: bool


def look_of(*answers):
    left = iter(answers)

    def look():
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return look


AWAY = UnreachableError("the database cannot be reached")
OPEN, ENDED = Seen(is_open=True), Seen(is_open=False)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_PAUSE_SECONDS", 0.0)


def test_a_server_that_comes_back_is_asked_again():
    seen = []
    assert waiting.await_end(look_of(OPEN, AWAY, AWAY, OPEN, AWAY, ENDED), seen.append) == ENDED
    assert seen == [OPEN, OPEN, ENDED]


def test_one_that_never_answered_is_told_of_at_once():
    with pytest.raises(UnreachableError):
        waiting.await_end(look_of(AWAY, ENDED))


def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", -1.0)
    with pytest.raises(UnreachableError):
        waiting.await_end(look_of(OPEN, AWAY, ENDED))
