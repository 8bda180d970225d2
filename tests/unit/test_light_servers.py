"""What API, controller and worker leave to children: they neither load models nor their libraries.

A model's library in a server would cost it 100 MB, and a bad model its life.
"""

import subprocess
import sys


def test_servers_import_no_model_library():
    code = (
        "import sys\n"
        "import mlreg.cli.server, mlreg.controller.api.rooms, mlreg.controller.scheduler\n"
        "import mlreg.controller.services.work\n"
        "heavy = {'lightgbm', 'sklearn', 'skops', 'pandas', 'optuna', 'river', 'ray'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
