"""What dead workers and ended backtests left: removed each hour, and nothing that is in use."""

import os
import time

from mlreg.controller.services.backtest_kept import LONGEST_SECONDS
from mlreg.controller.services.leftovers import Leftovers


def leave(parent, number, age_seconds):
    folder = parent / f"mlreg-backtest-{number}-0123456789abcdef"
    (folder / "model").mkdir(parents=True)
    then = time.time() - age_seconds
    os.utime(folder, (then, then))
    return folder


def dead_worker(parent):
    folder = parent / "mlreg-worker-dead"
    folder.mkdir()
    (folder / "in-use").touch()
    return folder


def test_old_backtests_and_dead_workers_go_and_the_rest_stays(tmp_path):
    old, young = leave(tmp_path, 7, LONGEST_SECONDS + 60), leave(tmp_path, 8, 60)
    dead, strange = dead_worker(tmp_path), tmp_path / "notes"
    strange.mkdir()
    leftovers = Leftovers(tmp_path)
    leftovers.sweep()
    assert sorted(tmp_path.iterdir()) == sorted([young, strange])
    assert not old.exists()
    assert not dead.exists()
    later = leave(tmp_path, 9, LONGEST_SECONDS + 60)
    leftovers.sweep()
    assert later.exists(), "it looks once an hour"
    Leftovers(tmp_path, every_seconds=0.0).sweep()
    assert not later.exists()
