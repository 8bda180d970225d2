"""A controller whose lease check always says yes: ticks at each moment it reads from stdin."""

import sys
from datetime import datetime

from mlreg.controller.services.tick import tick
from mlreg.registry.store.database import Database


def main():
    database = Database(sys.argv[1], pool_size=2)
    print("ready", flush=True)
    for line in sys.stdin:
        report = tick(database, now=datetime.fromisoformat(line.strip()))
        print(len(report.firings), len(report.failed), flush=True)


if __name__ == "__main__":
    main()
