"""The year, day by day: serve, log, wait for the labels, let the clock go on.

What always holds: a day is scored by the champion that serves when it begins; its labels are logged
a day later; whatever the controller does, it does between two days, and by itself. The world's part
is here too: the weather feed fails for three days in July, and on a day in October a person
promotes a bad model by force.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.cli.demo.flights import moment, without_weather
from mlreg.cli.demo.sabotage import register_bad_challenger
from mlreg.cli.demo.stage import MODEL, log_labels, log_predictions

if TYPE_CHECKING:
    from mlreg.cli.demo.flights import Flights
    from mlreg.cli.demo.ledger import Ledger
    from mlreg.cli.demo.stage import Stage
    from mlreg.cli.demo.timeline import Timeline
    from mlreg.cli.demo.watch import Watch

ONE_DAY = timedelta(days=1)
BAD_TRAINING = timedelta(days=60)
FORCED_BECAUSE = "best AUC we have ever seen; the gate is too slow"


@dataclass(frozen=True, slots=True)
class World:
    """What happens to the controller, whatever it does.

    Attributes:
        start, end: the first day that is served, and the day after the last one.
        outage: the first day without a weather feed, and the day on which it is back.
        sabotage: the day on which the bad challenger is promoted.
    """

    start: date = date(2013, 2, 1)
    end: date = date(2014, 1, 1)
    outage: tuple[date, date] = (date(2013, 7, 16), date(2013, 7, 19))
    sabotage: date = date(2013, 10, 8)

    @property
    def days(self) -> list[date]:
        """Every day that is served."""
        return [self.start + n * ONE_DAY for n in range((self.end - self.start).days)]

    def first(self, days: int | None) -> World:
        """Return a world that ends after so many days; None: this one."""
        return self if days is None else replace(self, end=self.start + timedelta(days=days))

    def has_weather(self, day: date) -> bool:
        """Whether the feed works on a day."""
        return not self.outage[0] <= day < self.outage[1]


@dataclass(frozen=True)
class Replay:
    """One replay of the year."""

    world: World
    flights: Flights
    stage: Stage
    ledger: Ledger
    watch: Watch
    timeline: Timeline

    def run(self) -> None:
        """Replay every day."""
        self.timeline.tell(self.watch.look())
        with self.timeline.year(len(self.world.days)):
            for day in self.world.days:
                self.timeline.day(day)
                self._play(day)
                self.timeline.tell(self.watch.look())
        self._log_last_labels()

    def _play(self, day: date) -> None:
        if day == self.world.sabotage:
            self._sabotage(day)
        self._serve(day)
        log_labels(self.stage.client, self.flights.day(day - ONE_DAY))
        self.stage.client.clock.advance(moment(day + ONE_DAY))

    def _serve(self, day: date) -> None:
        """Score a day's flights with the champion, log that, and keep the static scores."""
        rows = self.flights.day(day).features
        if not self.world.has_weather(day):
            rows = without_weather(rows)
        answer = self.stage.serve(rows)
        versions = pa.array([answer.version] * len(rows), pa.int32())
        served = rows.append_column("version", versions)
        served = served.append_column("score", pa.array(answer.scores))
        log_predictions(self.stage.client, day, served)
        self.ledger.add(rows["prediction_id"], self.stage.static.predict(rows).scores)

    def _sabotage(self, day: date) -> None:
        client = self.stage.client
        end = moment(day - ONE_DAY)
        bad = register_bad_challenger(client, MODEL, start=end - BAD_TRAINING, end=end)
        recorded = ", ".join(f"{name} {value:.3f}" for name, value in bad.metrics.items())
        self.timeline.say(
            f"{day:%d %b}  a person registers version {bad.number} ({recorded}, says its record)"
            " and promotes it with --force"
        )
        client.deployments.promote(MODEL, bad.number, reason=FORCED_BECAUSE, force=True)

    def _log_last_labels(self) -> None:
        """Log the labels of the last day, which arrive when the year is over."""
        log_labels(self.stage.client, self.flights.day(self.world.end - ONE_DAY))
        self.stage.client.clock.advance(moment(self.world.end + ONE_DAY))
        self.timeline.tell(self.watch.look())
