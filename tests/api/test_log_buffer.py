"""The SDK's buffer: it never blocks or breaks who logs, and accounts for every row."""

import json
import logging
import os
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from mlreg.client.client import Client
from mlreg.client.log_buffer import BufferBounds
from mlreg.controller.api import feedback
from mlreg.controller.services.draining import drain_model
from tests.feedback_makers import NOW, make_model, make_store, predictions

QUICK = BufferBounds(interval_seconds=0.05, close_seconds=3.0)


@pytest.fixture
def extra_routers():
    return (feedback.router,)


@pytest.fixture(autouse=True)
def model(database):
    return make_model(database)


def rows_of(count, first=0):
    return predictions(first, count).to_pylist()


def drained(database, tmp_path, model):
    return drain_model(database, make_store(tmp_path), model.id, now=NOW).prediction_rows


def dead_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_rows_are_sent_in_batches_and_counted(client, database, tmp_path, model):
    with client.log.buffered("flights", bounds=QUICK) as buffer:
        for row in rows_of(2_500):
            assert buffer.add(row)
        assert buffer.flush(20)
        assert buffer.stats.sent == 2_500
    stats = buffer.stats
    assert (stats.added, stats.sent, stats.dropped, stats.waiting) == (2_500, 2_500, 0, 0)
    assert buffer.add(rows_of(1)[0]) is False
    assert drained(database, tmp_path, model) == 2_500


def test_rows_that_break_a_rule_take_no_others_with_them(client, database, tmp_path, model, caplog):
    caplog.set_level(logging.WARNING, "mlreg.log_buffer")
    rows = rows_of(200)
    rows[17]["score"] = 7.0
    rows[18]["temp"] = "warm"
    rows[150].pop("rain")
    with client.log.buffered("flights", bounds=QUICK) as buffer:
        for row in rows:
            assert buffer.add(row)
        assert buffer.add("no row at all") is False
        assert buffer.flush(20)
    assert (buffer.stats.sent, buffer.stats.dropped) == (197, 4)
    assert drained(database, tmp_path, model) == 197
    assert "rows were lost" in caplog.text


def test_a_dead_server_neither_blocks_nor_breaks_who_logs(caplog):
    caplog.set_level(logging.WARNING, "mlreg.log_buffer")
    client = Client(dead_url(), "mlr_x")
    bounds = BufferBounds(max_rows=500, interval_seconds=0.01, close_seconds=1.5)
    buffer = client.log.buffered("flights", bounds=bounds)
    row, slowest = rows_of(1)[0], 0.0
    began = time.thread_time()
    for _ in range(3_000):
        before = time.thread_time()
        buffer.add(row)
        slowest = max(slowest, time.thread_time() - before)
    assert time.thread_time() - began < 1.0
    assert slowest < 0.1
    assert (buffer.stats.added, buffer.stats.dropped) == (3_000, 2_500)
    began = time.monotonic()
    stats = buffer.close()
    assert time.monotonic() - began < 6.0
    assert (stats.sent, stats.dropped, stats.waiting) == (0, 3_000, 0)
    assert "no answer from" in stats.last_error
    warnings = [record for record in caplog.records if record.name == "mlreg.log_buffer"]
    assert len(warnings) == 2  # the first loss, and the rest at the end
    assert "3000 in all" in warnings[-1].getMessage()


def test_memory_is_bounded_in_bytes(client):
    bounds = BufferBounds(max_bytes=20_000, interval_seconds=30.0, close_seconds=0.0)
    buffer = client.log.buffered("flights", bounds=bounds)
    taken = sum(buffer.add({"prediction_id": "x" * 900}) for _ in range(100))
    assert 15 <= taken <= 20
    assert buffer.stats.dropped == 100 - taken
    buffer.close()


def test_a_server_that_comes_back_gets_every_row_once(client, api, database, tmp_path, model):
    """Its first answers are lost on their way; the batch id stays."""
    from mlreg.client.errors import UnreachableError
    from mlreg.client.log_buffer import LogBuffer

    tried = []

    def send(rows, batch_id, seconds):
        tried.append(batch_id)
        client.log.predictions("flights", rows, batch_id)
        if len(tried) < 3:
            raise UnreachableError("gone", code="server_unreachable")
        assert seconds > 0

    buffer = LogBuffer("flights", send, QUICK, client.transport.close)
    for row in rows_of(20):
        buffer.add(row)
    assert buffer.flush(20)
    buffer.close()
    assert len(set(tried)) == 1
    assert len(tried) == 3
    assert drained(database, tmp_path, model) == 20
    del api


SCRIPT = """
import json, os, sys
from datetime import datetime
from mlreg.client.client import Client
from mlreg.client.log_buffer import BufferBounds
client = Client(os.environ["URL"], os.environ["TOKEN"])
buffer = client.log.buffered("flights", bounds=BufferBounds(interval_seconds=60.0))
rows = json.loads(sys.stdin.read())
for row in rows[:10]:
    assert buffer.add(row)
child = os.fork()
if child == 0:
    assert buffer.stats.waiting == 0
    for row in rows[10:]:
        assert buffer.add(row)
    assert buffer.close(20).sent == 5
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0
"""  # the parent ends without a close: its rows are sent at its exit


def test_the_end_of_a_process_sends_what_waits_and_a_fork_sends_its_own(
    api, database, tmp_path, model
):
    rows = [{**row, "time": row["time"].isoformat()} for row in rows_of(15)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        input=json.dumps(rows),
        env={**os.environ, "URL": api.url, "TOKEN": api.token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert drained(database, tmp_path, model) == 15
