"""What a command prints into a pipe: it is there at once, and ends with who reads it."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from mlreg.cli.commands import webhook
from mlreg.client.wire.webhooks import EventAnswer, EventsAnswer

EVENT = EventAnswer(
    seq=1,
    id="a",
    topic="run.failed",
    at=datetime(2026, 5, 4, tzinfo=UTC),
    line="run 7 of flights has failed",
    body={},
)


def test_events_that_are_followed_are_there_at_once_and_end_with_their_reader(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        webhook._print(EventsAnswer(items=[EVENT], after=1, newest=1))
        assert b"run 7 of flights has failed" in os.read(reader, 4_096)
        webhook._check_reader()
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            webhook._check_reader()


def test_a_pipe_that_nobody_reads_is_exit_1_and_no_word(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-m", "mlreg.cli", "key", "generate", str(tmp_path / "key")]
    done = subprocess.run(words, env=environ, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, b"BrokenPipe" in done.stderr) == (1, False), done.stderr
