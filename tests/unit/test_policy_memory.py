"""What is remembered of a policy, through the hands of a process that knows less of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlreg.controller.domain.collecting import Collection
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.waiting import Waiting

START = datetime(2013, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEWER = {"invented_later": {"since": "2013-07-01"}}


def test_what_a_newer_mlreg_wrote_is_written_back_wherever_it_stands():
    memory = PolicyMemory(
        *[START] * 3,
        waiting=Waiting("frozen", START, first={"go": START}),
        collection=Collection(START, START, 100),
    )
    form = memory.to_json()
    form |= {"waiting": form["waiting"] | NEWER, "collection": form["collection"] | NEWER, **NEWER}
    read = PolicyMemory.from_json(form)
    assert read.to_json() == form
    changed = read.judged(START + HOUR)._replace(
        waiting=read.waiting.only(["go"]), collection=replace(read.collection, rows=7)
    )
    written = changed.to_json()
    assert written["judged_at"] == (START + HOUR).isoformat(), "what it knows is its own"
    for part in (written, written["waiting"], written["collection"]):
        assert part["invented_later"] == NEWER["invented_later"]


def test_a_rule_of_a_newer_mlreg_is_called_by_its_name():
    assert Waiting("sleeping", START).what == "sleeping"


def test_what_it_writes_itself_it_knows():
    memory = PolicyMemory(
        *[START] * 3, waiting=Waiting("busy", START), collection=Collection(START, START, 1)
    )
    read = PolicyMemory.from_json(memory.to_json())
    assert (read.rest, read.waiting.rest, read.collection.rest) == ({}, {}, {})
    assert read == memory
