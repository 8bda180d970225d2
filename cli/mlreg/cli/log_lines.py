"""The lines that a server process writes to its log: each without secrets, whatever made it.

What always holds: a line is redacted after it was formatted, so that a token in an argument, an
exception's text or a traceback does not get through; a line is one line for one record but for
tracebacks.
"""

from __future__ import annotations

import logging
import sys

from typing_extensions import override

from mlreg.client.redaction import redact_text

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NOISY = ("apscheduler", "botocore", "urllib3")


class RedactingFormatter(logging.Formatter):
    """Formats a record and takes the secrets out of what came of it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def log_to_stderr() -> None:
    """Send this process's log to stderr, redacted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
