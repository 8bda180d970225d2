"""A stand-in for a PID 1 that never reaps: argument 1 is the folder of an embedded server.

Its child starts the server, kills the postmaster with -9 and dies: the postmaster, adopted by this
process, stays a zombie for ever. Then a new server is started in the same folder. Prints the
seconds that took, the zombie's state, and whether the new server answers.
"""

import os
import sys
import time
from pathlib import Path

from mlreg.cli import processes
from mlreg.cli.postgres import EmbeddedPostgres

folder = Path(sys.argv[1])
processes.adopt_orphans()
child = os.fork()
if child == 0:
    former = EmbeddedPostgres(folder, sync=False)
    former.start()
    os.kill(former.pid, 9)
    os._exit(0)
os.waitpid(child, 0)
zombie = int((folder / "postmaster.pid").read_text().splitlines()[0])
while processes.state(zombie) != "Z":
    time.sleep(0.01)
started = time.monotonic()
server = EmbeddedPostgres(folder, sync=False)
server.start()
print(f"{time.monotonic() - started:.2f} {processes.state(zombie)} {server.answers()}", flush=True)
server.stop()
