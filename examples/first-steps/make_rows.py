"""Makes two months of a made-up subscription service: who was asked about, and who left.

Writes `history.csv` (what was known at the time) and `outcome.csv` (what became of it a day later).
Bring your own rows instead: any CSV, Parquet or JSON lines with these columns will do.
"""

from __future__ import annotations

import csv
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS, PER_DAY = 60, 200
PLANS = {"free": 0.9, "basic": 0.0, "team": -1.1}

chance = random.Random(7)  # noqa: S311 - made-up rows, not secrets
today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

with Path("history.csv").open("w") as history, Path("outcome.csv").open("w") as known:
    rows, outcomes = (csv.writer(file, lineterminator="\n") for file in (history, known))
    rows.writerow(["prediction_id", "time", "plan", "months", "tickets"])
    outcomes.writerow(["prediction_id", "time", "label"])
    for number in range(DAYS * PER_DAY):
        time = today - timedelta(days=DAYS - number / PER_DAY)
        plan, months = chance.choice(list(PLANS)), chance.randint(1, 48)
        tickets = chance.expovariate(0.5)
        odds = PLANS[plan] - 0.06 * months + 0.5 * tickets
        left = chance.random() < 1 / (1 + math.exp(-odds))
        rows.writerow([f"row-{number}", time.isoformat(), plan, months, f"{tickets:.2f}"])
        later = time + timedelta(hours=12)
        outcomes.writerow([f"row-{number}", later.isoformat(), int(left)])

print(f"{DAYS * PER_DAY} rows in history.csv and outcome.csv")
