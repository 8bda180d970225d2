"""A forked child: made harmless first, then it calls one function, then it is gone.

What always holds: `be_child` never returns. The child leads a session of its own, keeps what it
started below itself, however that was started (it counts as the child's, and is not taken for what
another one left), dies with the fork server, holds no open file but its output, and lives under its
limits before it imports anything named by the task: without network unless the task has it, and
writing in its folder and those of the task only, both where the kernel permits (`confinement.py`).
"""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlreg.controller.confinement import die_with_parent, leave_network, write_only_in
from mlreg.controller.executors.executor import ERROR_FILE, FILE_TOO_LARGE, OUT_OF_MEMORY
from mlreg.controller.orphans import adopt_orphans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OOM_SCORE = "500"  # the kernel takes the child before the worker, the API or the database


def be_child(request: Mapping[str, Any], output: int, parent: int) -> NoReturn:
    """Run the request in this freshly forked process and exit.

    Args:
        request: `entry`, `folder`, `network`, `writes`, and the limits by their names.
        output: the file descriptor that takes stdout and stderr.
        parent: the fork server's process id.
    """
    code = 1
    try:
        os.setsid()
        adopt_orphans()
        die_with_parent(parent)
        _reset_signals()
        _redirect(output)
        _restrain(request)
        folder = Path(request["folder"])
        _confine([folder, *map(Path, request["writes"])], parent, network=bool(request["network"]))
        gc.enable()
        os.chdir(folder)
        code = _call(str(request["entry"]), folder)
    finally:
        os._exit(code)


def _confine(folders: Sequence[Path], parent: int, *, network: bool) -> None:
    """Take away the network and what may be written beside the folders, where that is permitted.

    The first is the child's own.
    """
    os.environ["TMPDIR"] = str(folders[0])  # noqa: TID251 - for what the child itself starts
    if not network:
        leave_network()
        die_with_parent(parent)  # again: new rights take it back
    write_only_in(folders)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _redirect(output: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, 1 << 20)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def _restrain(request: Mapping[str, Any]) -> None:
    cpu = int(request["cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    for limit, name in (
        (resource.RLIMIT_AS, "address_space_bytes"),
        (resource.RLIMIT_FSIZE, "file_bytes"),
    ):
        resource.setrlimit(limit, (int(request[name]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _call(entry: str, folder: Path) -> int:
    module, _, name = entry.partition(":")
    try:
        getattr(importlib.import_module(module), name)(folder)
    except BaseException as error:  # noqa: BLE001 - the edge of the child: every end is reported
        traceback.print_exc()
        _report(error, folder)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _report(error: BaseException, folder: Path) -> None:
    message = str(error) or type(error).__name__
    code = getattr(error, "code", None)
    if isinstance(error, MemoryError):
        mebibytes = resource.getrlimit(resource.RLIMIT_AS)[0] // 2**20
        message = f"out of memory: the limit is {mebibytes:,} MiB of address space"
        code = OUT_OF_MEMORY
    elif isinstance(error, OSError) and error.errno == errno.EFBIG:
        mebibytes = resource.getrlimit(resource.RLIMIT_FSIZE)[0] // 2**20
        message = f"a file would have been larger than {mebibytes:,} MiB, the limit of disk"
        code = FILE_TOO_LARGE
    document = {"code": str(code or type(error).__name__), "message": message[:2000]}
    (folder / ERROR_FILE).write_text(json.dumps(document))
