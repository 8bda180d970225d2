"""Confining a process to what it was given: no network, and no writing outside its folders.

What always holds: what the kernel does not permit is left out, never a reason to fail, and
`find_confinement` says which; nothing here can be undone by the process that it was done to, nor by
what that starts. Linux only: `unshare(2)` for the network, Landlock (`landlock(7)`, kernel 5.13 and
newer) for writing. Reading is not confined: that is for the operator's users and containers.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH, _GET_VERSION = 1, 1
_WRITE_FILE = 1 << 1
_CHANGES = sum(1 << bit for bit in range(4, 13)) | _WRITE_FILE
"""Write a file; remove, make and link files and folders of every kind."""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_DEVICES = ("null", "zero", "full", "tty", "nvidia*", "dri/*", "kfd")
"""Files of /dev that take writing: those that keep nothing, and accelerators."""
_ASK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Confinement:
    """What this machine lets a process be confined to."""

    network: bool
    writes: bool


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once if it is dead.

    After `leave_network`, which would take it back.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def leave_network() -> bool:
    """Move this process, of one thread, where there is no network but its own loopback.

    Returns:
        Whether the kernel permitted it.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET if user == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if _LIBC.unshare(flags) != 0:
        return False
    with suppress(OSError):
        if user != 0:  # stay who we are, for what looks up its own name
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with suppress(OSError):
        _raise_loopback()
    return True


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        (flags,) = struct.unpack("16xH22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def write_only_in(folders: Iterable[Path]) -> bool:
    """Let this process write in these folders and to devices, and nowhere else from now on.

    Returns:
        Whether the kernel permitted it.
    """
    version = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION)
    if version < 1:
        return False
    handled = _CHANGES | (_REFER if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)  # noqa: PLR2004 - Landlock's own
    attributes = ctypes.create_string_buffer(struct.pack("Q", handled), 8)
    rules = _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    try:
        devices = [one for name in _DEVICES for one in Path("/dev").glob(name)]
        for place in (*folders, *devices):
            _allow_beneath(rules, place, handled)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(_LIBC.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow_beneath(rules: int, place: Path, access: int) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not place.is_dir():
        access &= _WRITE_FILE | _TRUNCATE
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor), 12)
        _LIBC.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def find_confinement() -> Confinement:
    """Return what this machine permits, tried in a process of its own."""
    asked = [sys.executable, "-I", "-S", __file__]
    try:
        said = subprocess.run(  # noqa: S603 - our own module, no shell
            asked, capture_output=True, check=True, timeout=_ASK_SECONDS
        )
        return Confinement(**json.loads(said.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return Confinement(network=False, writes=False)


def confined_words(words: Sequence[str], writes: Sequence[Path], *, network: bool) -> list[str]:
    """Return what to start so that a program starts confined, and dies with this process.

    It is this file that is started, by a Python without its packages, and becomes the program: code
    between fork and exec would run beside the threads of whoever forks.

    Args:
        words: the program and its arguments.
        writes: the folders that it may write in.
        network: whether it keeps it.
    """
    order = {
        "parent": os.getpid(),
        "words": list(words),
        "writes": list(map(str, writes)),
        "network": network,
    }
    return [sys.executable, "-I", "-S", __file__, json.dumps(order)]


def _become(order: dict[str, Any]) -> NoReturn:
    if not order["network"]:
        leave_network()
    die_with_parent(order["parent"])
    write_only_in(map(Path, order["writes"]))
    words = order["words"]
    try:
        os.execv(words[0], words)  # noqa: S606 - the operator's words, no shell
    except OSError as error:
        sys.exit(f"{words[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _become(json.loads(sys.argv[1]))
    permitted = leave_network()
    sys.stdout.write(json.dumps(asdict(Confinement(permitted, write_only_in([])))))
