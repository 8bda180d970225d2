"""Temporary files of tests in memory, where this machine has the room.

A thousand tests copy a database of 400 files each: on a disk that is a third of a second of
waiting, in memory a tenth. What survives a loss of power is not asked by any test here.
"""

from __future__ import annotations

import os
import shutil
import tempfile

FOLDER = "/dev/shm"
ROOM_BYTES = 4 * 2**30  # of a whole run with two workers: two clusters, and what its tests keep


def keep_in_memory() -> None:
    """Make the folder in memory the one of temporary files, for this process and its children.

    It stays as it is where somebody chose one (`TMPDIR`), and where that folder is small, as in
    most containers, or runs no programs.
    """
    if "TMPDIR" in os.environ or not os.access(FOLDER, os.W_OK | os.X_OK):
        return
    runs_nothing = os.statvfs(FOLDER).f_flag & os.ST_NOEXEC
    if runs_nothing or shutil.disk_usage(FOLDER).free < ROOM_BYTES:
        return
    os.environ["TMPDIR"] = tempfile.tempdir = FOLDER
