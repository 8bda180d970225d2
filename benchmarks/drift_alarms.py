"""How often drift alarms are false, and how late they are: on streams whose truth is known.

`python -m benchmarks.drift_alarms` simulates streams (seeded), profiles their windows, judges them
as mlreg does, and prints the tables of `docs/explanation/drift.md`; `--write` puts them there.
Three alarms are compared, feature by feature and window by window:

- `verdict`: ours, of PSI against the same-season history;
- `psi`: PSI above 0.2 against the training rows, the usual rule;
- `ks`: a Kolmogorov-Smirnov test with p < 0.05 against the training rows (the distance on bins,
  which is never larger than the exact one, with its asymptotic p-value).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from scipy.special import kolmogorov

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.drift import DriftMatrix, Yardstick
from mlreg.controller.domain.profile import profile_rows
from mlreg.controller.domain.season import Past, past_starts, verdicts
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.monitors.drift import RULES
from mlreg.registry.domain.contracts import FeatureContract

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEATURES = tuple(f"x{number}" for number in range(8))
DRIFTING = 4
"""Of the features, so many drift; the others go on as before."""
ALARMS = ("verdict", "psi", "ks")
PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "drift.md"


@dataclass(frozen=True, slots=True)
class Width:
    """Windows of one length: how many rows each has, and how long the simulation runs."""

    name: str
    length: timedelta
    rows: int
    warm_up_days: int = 35
    judged_days: int = 42

    @property
    def windows(self) -> int:
        """Of the whole simulation."""
        return (self.warm_up_days + self.judged_days) * DAY // self.length


HOURLY, DAILY = Width("hour", HOUR, 200), Width("day", DAY, 900)
YOUNG = (Width("day", DAY, 900, 14, 14), Width("hour", HOUR, 200, 14, 14))
"""Streams in their third and fourth week, which have too few days of each weekday behind them."""
FAULT = 2.0
"""How far features move that are broken, in standard deviations."""
SEASONS = ("stationary", "hour of day", "day of week", "both seasons")
DRIFTS = ("abrupt", "gradual", "recurring")
SHIFT = 0.5
"""How far drifting features move, in standard deviations."""


def season_of(season: str, moments: np.ndarray) -> np.ndarray:
    """Return how far the stream lies from its mean at these hours since the start."""
    hour = 0.7 * np.sin(2 * np.pi * (moments % 24) / 24)
    week = 0.7 * ((moments // 24) % 7 >= 5)
    return {
        "stationary": 0.0 * moments,
        "hour of day": hour,
        "day of week": week,
        "both seasons": hour + week,
    }[season]


def drift_of(drift: str | None, moments: np.ndarray, change: float) -> np.ndarray:
    """Return how far drifting features have moved: at once, over two weeks, or two days in seven.

    A fault comes at once as well, and is as large as one.

    The recurring drift comes on Wednesdays and Thursdays, from the change on.
    """
    after = (moments - change) / 24
    if drift == "abrupt":
        return SHIFT * (after >= 0)
    if drift == "fault":
        return FAULT * (after >= 0)
    if drift == "gradual":
        return 2 * SHIFT * np.clip(after / 14, 0, 1)
    if drift == "recurring":
        return SHIFT * ((after >= 0) & np.isin((moments // 24) % 7, (2, 3)))
    return 0.0 * moments


def rows_at(rng: np.random.Generator, moments: np.ndarray, season: str) -> dict[str, np.ndarray]:
    """Return rows: half of the features follow the season, half are heavy-tailed."""
    base = season_of(season, moments)
    columns = {}
    for number, name in enumerate(FEATURES):
        noise = rng.normal(size=len(moments))
        columns[name] = base + noise if number % 2 else np.exp(0.7 * (base + noise))
    return columns


def moved(columns: dict[str, np.ndarray], shift: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows with the first features shifted, in their own standard deviations."""
    return {
        name: values + shift if number % 2 else values * np.exp(0.7 * shift)
        for number, (name, values) in enumerate(columns.items())
    } | {name: columns[name] for name in FEATURES[DRIFTING:]}


@dataclass(frozen=True, slots=True)
class Simulated:
    """Alarms of one stream: by name (judged windows, features); the first window of the drift."""

    alarms: dict[str, np.ndarray]
    change: int


def simulate(width: Width, season: str, drift: str | None, seed: int) -> Simulated:
    """Make one stream, and say where each alarm stands in its judged windows."""
    rng = np.random.default_rng([seed, SEASONS.index(season), len(drift or "")])
    reference = rows_at(rng, rng.integers(-28 * 24, 0, 20_000).astype(float), season)
    contract = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in FEATURES])
    bins = make_bins(reference, contract)
    warm = width.warm_up_days * DAY // width.length
    days = min(14, width.judged_days // 3)
    change_window = warm + (days * DAY // width.length if drift else 0)
    hours = width.length / HOUR
    windows = []
    for number in range(width.windows):
        moments = number * hours + np.floor(rng.random(width.rows) * hours)
        rows = rows_at(rng, moments, season)
        if drift:
            rows = moved(rows, drift_of(drift, moments, change_window * hours))
        windows.append(profile_rows(rows, bins))
    matrix = Yardstick(profile_rows(reference, bins)).measure(ProfileStack.of(windows, bins))
    return Simulated(alarms_of(matrix, width, warm), change_window - warm)


def alarms_of(matrix: DriftMatrix, width: Width, warm: int) -> dict[str, np.ndarray]:
    """Return where each alarm stands, window by feature."""
    psi = matrix.sizes["psi"][:, : len(FEATURES)]
    distance = matrix.sizes["ks"][warm:, : len(FEATURES)]
    rows = matrix.rows[warm:, None]
    scale = np.sqrt(rows * 20_000 / (rows + 20_000))
    rules = [RULES["psi"]] * len(FEATURES)
    starts = [START + number * width.length for number in range(len(psi))]
    places = {start: number for number, start in enumerate(starts)}
    verdict = []
    for number in range(warm, len(psi)):
        among = [one for one in past_starts(starts[number], width.length) if one in places]
        past = Past(among, psi[[places[one] for one in among]])
        found = verdicts(psi[number], (starts[number], width.length), past, rules)
        verdict.append([one == "unusual" for one in found])
    return {
        "verdict": np.array(verdict),
        "psi": psi[warm:] > 0.2,
        "ks": kolmogorov(distance * scale) < 0.05,
    }


def false_alarms(width: Width, season: str, seeds: range) -> dict[str, tuple[float, float]]:
    """Return by alarm the share of feature-windows, and of windows with any feature alarmed."""
    streams = [simulate(width, season, None, seed).alarms for seed in seeds]
    found = {}
    for name in ALARMS:
        stood = np.concatenate([alarms[name] for alarms in streams])
        found[name] = float(stood.mean()), float(stood.any(axis=1).mean())
    return found


def detections(width: Width, season: str, drift: str, seeds: range) -> dict[str, tuple[float, ...]]:
    """Return by alarm: the share of drifts told within 14 days, and the median delay in days.

    A drift is told by the first window in which a feature that drifts is alarmed, by an alarm that
    did not stand in half of the windows before the change, for such a one tells nothing.
    """
    streams = [simulate(width, season, drift, seed) for seed in seeds]
    found = {}
    for name in ALARMS:
        delays = [_delay(one.alarms[name], one.change, width) for one in streams]
        told = [delay for delay in delays if delay is not None and delay <= 14]
        found[name] = len(told) / len(delays), float(np.median(told)) if told else float("nan")
    return found


def lasting(width: Width, season: str, seeds: range) -> tuple[float, ...]:
    """Return the share of feature-windows that our verdict tells on days 1, 2, 3, 7 of a fault."""
    told = []
    for one in (simulate(width, season, "fault", seed) for seed in seeds):
        days = one.alarms["verdict"][one.change :, :DRIFTING]
        told.append(days.reshape(-1, DAY // width.length * DRIFTING).mean(axis=1))
    return tuple(np.mean(told, axis=0)[[0, 1, 2, 6]])


def _delay(stood: np.ndarray, change: int, width: Width) -> float | None:
    """Return the days from the change to the end of the first window that tells it."""
    before, after = stood[:change, :DRIFTING], stood[change:, :DRIFTING]
    silent = before.mean(axis=0) < 0.5
    told = np.flatnonzero((after & silent).any(axis=1))
    return None if len(told) == 0 else float((told[0] + 1) * width.length / DAY)


def tables(seeds: range) -> str:
    """Return the tables of the page, as Markdown."""
    lines = [_HEAD.format(streams=len(seeds)), *_FALSE]
    for width in (DAILY, HOURLY):
        for season in SEASONS:
            found = false_alarms(width, season, seeds)
            cells = [f"{one:.2%} ({any_:.1%})" for one, any_ in (found[name] for name in ALARMS)]
            lines.append(f"| {width.name} | {season} | {' | '.join(cells)} |")
    lines += _TOLD
    for width in (DAILY, HOURLY):
        for season in ("stationary", "both seasons"):
            for drift in DRIFTS:
                found_ = detections(width, season, drift, seeds)
                cells = [_told(*found_[name]) for name in ALARMS]
                lines.append(f"| {width.name} | {season} | {drift} | {' | '.join(cells)} |")
    lines += young(seeds)
    return "\n".join(lines)


def young(seeds: range) -> list[str]:
    """Return the lines of the table of the first weeks."""
    lines = list(_YOUNG)
    for width in YOUNG:
        for season in SEASONS:
            quiet = false_alarms(width, season, seeds)["verdict"][0]
            days = " | ".join(f"{one:.0%}" for one in lasting(width, season, seeds))
            lines.append(f"| {width.name} | {season} | {quiet:.2%} | {days} |")
    return lines


_HEAD = f"""\
Simulated with {{streams}} streams per row, {len(FEATURES)} features each, \
{HOURLY.judged_days} days after {HOURLY.warm_up_days} days of history; an hour has {HOURLY.rows} \
rows, a day {DAILY.rows}; the training rows are 20,000."""
_FALSE = f"""
False alarms: share of feature-windows alarmed (share of windows with any of the {len(FEATURES)} \
features alarmed), where nothing drifts.

| windows | stream | our verdict | PSI > 0.2 | KS p < 0.05 |
|---|---|---|---|---|""".splitlines()
_TOLD = f"""
Detection: {DRIFTING} of {len(FEATURES)} features move by {SHIFT} standard deviations (gradual: to \
twice that within two weeks; recurring: on two days of every week). Share of drifts told within 14 \
days, and the median delay in days; an alarm that stood in half of the windows before the change \
tells nothing.

| windows | stream | drift | our verdict | PSI > 0.2 | KS p < 0.05 |
|---|---|---|---|---|---|""".splitlines()

_YOUNG = f"""
The first weeks: our verdict in the 14 days after the first 14, where no weekday has four of its \
kind behind it. False alarms as above, then the share of the windows of {DRIFTING} features told \
on days 1, 2, 3 and 7 of a fault that moves them by {FAULT:g} standard deviations and lasts.

| windows | stream | false alarms | day 1 | day 2 | day 3 | day 7 |
|---|---|---|---|---|---|---|""".splitlines()


def _told(share: float, delay: float) -> str:
    return f"{share:.0%}, {delay:.2g} d" if share else "never"


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the false alarms alone")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--seeds", type=int, default=20, help="streams per row of a table")
    asked = parser.parse_args()
    seeds = range(asked.seeds)
    if asked.json:
        found = {
            f"false_alarms_{width.name}_{season.replace(' ', '_')}": false_alarms(
                width, season, range(min(asked.seeds, 4))
            )["verdict"][0]
            for width in (DAILY, HOURLY)
            for season in SEASONS
        }
        print(json.dumps(found))
        return
    text = tables(seeds)
    print(text)
    if asked.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


BEGIN, END = "<!-- drift_alarms: begin -->", "<!-- drift_alarms: end -->"
TARGETS = {
    f"false_alarms_{width.name}_{season.replace(' ', '_')}": ("<=", 0.005)
    for width in (DAILY, HOURLY)
    for season in SEASONS
}

if __name__ == "__main__":
    main()
