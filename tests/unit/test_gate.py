import os
import subprocess
import sys

import pytest

from mlreg.cli.gate import Gate, await_open

ROLE = """
import sys
from mlreg.cli.gate import await_open
await_open(int(sys.argv[1]))
print("in")
"""


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.close()


def test_a_role_waits_until_it_is_open(gate):
    words = [sys.executable, "-c", ROLE, str(gate.descriptor)]
    with subprocess.Popen(words, pass_fds=[gate.descriptor], stdout=subprocess.PIPE) as role:
        with pytest.raises(subprocess.TimeoutExpired):
            role.communicate(timeout=0.3)
        gate.open()
        assert role.communicate(timeout=60)[0] == b"in\n"


def test_an_open_gate_stays_open(gate):
    gate.open()
    gate.open()
    for _ in range(2):
        await_open(os.dup(gate.descriptor))
