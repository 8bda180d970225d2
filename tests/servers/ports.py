"""Ports for servers that are told theirs before they listen."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 20_000  # Ray gives its workers those from 10,002 on
_DICE = random.SystemRandom()  # two runs at once must not choose alike


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and which no connection is given.

    One that the kernel itself hands out may be another test's before the server listens on it.
    """
    while True:
        port = _DICE.randrange(LOWEST, _first_handed_out())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _first_handed_out() -> int:
    """Return the first port that the kernel gives to whoever asks for any."""
    try:
        words = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except OSError:
        return 32_768
    return max(int(words[0]), LOWEST + 2_000)
