"""What stands on the first of February: a model, its history, a first version, a policy.

What always holds: every step is a call that a user of mlreg makes too. The static model is the
first version too, promoted in an environment of its own where nobody ever changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.cli.demo.flights import SCHEMA
from mlreg.client.errors import MlregError
from mlreg.client.provenance import capture_git
from mlreg.client.scoring.scorer import Prediction, Scorer
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.runs import RetrainRequest

if TYPE_CHECKING:
    import pyarrow as pa

    from mlreg.cli.demo.flights import Day, Flights
    from mlreg.cli.demo.timeline import Timeline
    from mlreg.client.client import Client

MODEL = "flights"
STATIC = "january"
POLICY = Path(__file__).with_name("policy.yaml")
HISTORY_START = date(2013, 1, 1)
MAX_LABEL_DELAY = timedelta(days=2)


class DemoFailedError(MlregError):
    """Something that the demo rests on did not happen."""

    exit_code = 6


@dataclass(frozen=True)
class Stage:
    """The serving application: the champion's scorer, and the static model's."""

    client: Client
    champion: Scorer
    static: Scorer

    def serve(self, rows: pa.Table) -> Prediction:
        """Follow the deployment, and score rows with its champion.

        Raises:
            DemoFailedError: the scorer cannot follow.
        """
        self.champion.refresh()
        if self.champion.problem is not None:
            raise DemoFailedError(f"the scorer says: {self.champion.problem}", code="demo_scorer")
        return self.champion.predict(rows)


def set_stage(
    client: Client, flights: Flights, start: date, cache: Path, timeline: Timeline
) -> Stage:
    """Create the model, log January, train and promote the first version, apply the policy."""
    _create_model(client)
    history = (start - HISTORY_START).days
    for day in (HISTORY_START + timedelta(days=n) for n in range(history)):
        rows = flights.day(day)
        log_predictions(client, day, rows.features)
        if day + timedelta(days=1) < start:
            log_labels(client, rows)
    timeline.say(f"{history} days of history are logged")
    client.policies.apply(POLICY.read_text("utf-8"), git=capture_git(POLICY.parent))
    version = _train_first(client)
    timeline.say(f"version {version} is trained on January, and promoted by hand")
    client.deployments.promote(MODEL, version, reason="the first model")
    client.environments.create(STATIC)
    client.deployments.promote(MODEL, version, environment=STATIC, reason="never to be changed")
    champion = Scorer(client, MODEL, cache=cache, name="demo-champion", threads=2)
    static = Scorer(client, MODEL, STATIC, cache=cache, name="demo-static", threads=2)
    static.refresh()
    return Stage(client, champion, static)


def _train_first(client: Client) -> int:
    """Train on all of January that has labels but its last day, which tells that it works.

    Raises:
        RunFailedError: the run did not succeed.
    """
    asked = client.runs.request(
        MODEL,
        RetrainRequest(
            lane="full", train_window="31d", evaluate_window="1d", reason="the first model"
        ),
    )
    version = client.runs.wait(asked.number).version
    if version is None:
        raise DemoFailedError("the first run made no version", code="demo_run")
    return version


def log_predictions(client: Client, day: date, rows: pa.Table) -> None:
    """Log a day's predictions as one Arrow batch."""
    client.log.predictions(MODEL, rows, batch_id=f"predictions-{day}")


def log_labels(client: Client, day: Day) -> None:
    """Log a day's labels as one Arrow batch; a day without any logs nothing."""
    if len(day.labels):
        client.log.labels(MODEL, day.labels, batch_id=f"labels-{day.date}")


def _create_model(client: Client) -> None:
    target = TargetForm(
        task="binary",
        classes=["on time", "late"],
        positive_class="late",
        max_label_delay_seconds=int(MAX_LABEL_DELAY.total_seconds()),
    )
    features = [FeatureForm.model_validate(feature) for feature in SCHEMA]
    client.models.create(
        ModelRequest(
            name=MODEL,
            target=target,
            features=features,
            description="Will a flight land more than 15 minutes late?",
        )
    )
