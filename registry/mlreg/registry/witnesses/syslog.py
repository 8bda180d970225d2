"""Checkpoints in the system's log, which other machines often collect."""

from __future__ import annotations

import logging
import logging.handlers
from contextlib import closing
from typing import TYPE_CHECKING

from typing_extensions import override

from mlreg.registry.witnesses.folder import WitnessUnavailableError

if TYPE_CHECKING:
    from mlreg.registry.witnesses.witness import Witness


class _Sender(logging.handlers.SysLogHandler):
    """Raises where the standard library would print."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        raise  # noqa: PLE0704 - the standard library calls this in its `except`


class SyslogWitness:
    """Sends each checkpoint as one line to a local socket, or to `host:port` over UDP."""

    def __init__(self, address: str) -> None:
        self.where = f"syslog {address}"
        host, colon, port = address.rpartition(":")
        self._address = (host, int(port)) if colon and port.isdigit() else address

    def keep(self, note: str, size: int) -> None:
        """See `Witness.keep`."""
        line = note.rstrip("\n").replace("\n", "\\n")
        message = {"msg": f"mlreg: audit checkpoint {size}: {line}", "levelname": "INFO"}
        try:
            with closing(_Sender(self._address)) as sender:
                sender.emit(logging.makeLogRecord(message))
        except OSError as error:
            cause = error.strerror or type(error).__name__
            raise WitnessUnavailableError(where=self.where, cause=cause) from error


_PROOF: tuple[type[Witness], ...] = (SyslogWitness,)
