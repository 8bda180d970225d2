"""A controller whose lease check always says yes: ticks at each moment it reads from stdin.

Before it writes a firing it waits a while, so that the others' ticks fall into the middle of it.
"""

import sys
import time
from datetime import datetime

from sqlalchemy import event
from sqlalchemy.engine import Engine

from mlreg.controller.services.tick import tick
from mlreg.registry.store.database import Database

PAUSE_SECONDS = 0.4


@event.listens_for(Engine, "before_cursor_execute")
def wait_before_a_firing(_connection, _cursor, statement, *_others):
    if statement.lstrip().startswith("INSERT INTO firing"):
        time.sleep(PAUSE_SECONDS)


def main():
    database = Database(sys.argv[1], pool_size=2)
    print("ready", flush=True)
    for line in sys.stdin:
        report = tick(database, now=datetime.fromisoformat(line.strip()))
        print(len(report.firings), len(report.failed), flush=True)


if __name__ == "__main__":
    main()
