"""A serving application in ten lines: follow the champion, score, log what was said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlreg.client.client import Client
from mlreg.client.scoring.scorer import Scorer

client = Client.from_environment()
scorer = Scorer(client, "churn", cache=Path("scorer-cache"))
scorer.refresh()  # now and then; with the registry away, the last verified champion goes on serving

asked = {"plan": ["team", "free"], "months": [30, 2], "tickets": [0.0, 4.5]}
answer = scorer.predict(asked)
print(f"version {answer.version} says {[round(float(score), 3) for score in answer.scores]}")

now = datetime.now(UTC)
rows = {
    "prediction_id": [f"live-{now.timestamp()}-{place}" for place in range(2)],
    "time": [now, now],
    "version": [answer.version] * 2,
    "score": answer.scores,
    **asked,
}
print(f"{client.log.predictions('churn', rows).rows} predictions logged")
