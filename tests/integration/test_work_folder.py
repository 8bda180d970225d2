"""A worker's folder, and what is left of those that were killed."""

import subprocess
import sys

from mlreg.controller.services.work_folder import own_folder

HOLD = """
import sys
from pathlib import Path
from mlreg.controller.services.work_folder import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "run-1").mkdir()
    (folder / "run-1" / "train.parquet").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_the_living_keep_theirs_and_the_dead_are_swept(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        theirs = tmp_path / other.stdout.readline().strip()
        with own_folder(tmp_path) as ours:
            assert ours.stat().st_mode & 0o777 == 0o700
            assert theirs.is_dir()
        assert not ours.exists()
        other.kill()
    assert theirs.is_dir(), "a killed worker cleans nothing up"
    with own_folder(tmp_path):
        assert not theirs.exists()
    assert list(tmp_path.iterdir()) == []
