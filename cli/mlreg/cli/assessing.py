"""`python -m mlreg.cli.assessing`: the process of a controller's assessor, which starts it.

Whatever it prints, plugins included, goes to its log: its output is for answers.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from mlreg.cli.log_lines import log_to_stderr
from mlreg.controller.services.assessing import assess

COMMAND = (sys.executable, "-m", "mlreg.cli.assessing")


def main() -> None:
    """Answer the controller on stdin until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to answer
    log_to_stderr()
    gone = suppress(BrokenPipeError)  # it was killed: the answer is nobody's
    with gone, os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        assess(sys.stdin, answers)


if __name__ == "__main__":
    main()
