"""Triggers measured: how often they retrain for nothing, how late they are, what they gain.

`python -m benchmarks.triggers` replays generated streams (`streams.py`) by the backtest's own code
and prints the tables of `docs/explanation/when-to-retrain.md`; `--write` (`make when-to-retrain`)
puts them there. Every number is a mean over families and seeds, with an interval of 95 % over
streams (they are the independent pieces here).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from benchmarks.streams import DAY, DELAYS, DRIFTS, FAMILIES, START, Shape, history_of
from mlreg.controller.domain.backtest import Course, Wanted
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.metrics import row_losses
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.backtest_world import ReplayedWorld
from mlreg.controller.services.policy_texts import parse_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.services.backtest_history import History

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "when-to-retrain.md"
BEGIN, END = "<!-- triggers: begin -->", "<!-- triggers: end -->"
ROUNDS = 30
TRIGGERS: dict[str, list[dict[str, object]]] = {
    "every window": [{"labelled_rows": 1}],
    "weekly": [{"every": "7d"}],
    "every 4 weeks": [{"every": "28d"}],
    "1,500 labelled rows": [{"labelled_rows": 1_500}],
    "drift: psi unusual, 2 windows": [{"drift": "psi", "unusual": True, "windows": 2}],
    "drift: psi > 0.2": [{"drift": "psi", "above": 0.2}],
    "skill drops": [],
    "skill drops, or 4 weeks": [],
}
"""By the name in the tables; those that need to know the task are filled in `triggers_of`."""
LANES: dict[str, dict[str, object]] = {
    "full": {"full": {}},
    "refit": {"refit": {}, "full": {"every": "28d"}},
    "continue": {"continue": {"rounds": 10, "max_trees": 200}, "full": {"every": "28d"}},
}
DROP = {"binary": ("log_loss", 0.04), "regression": ("rmse", 0.4)}
"""The drop of skill that matters, in units of each task's metric."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy did on one stream.

    Attributes:
        false: runs per 100 windows before anything drifted.
        told: windows from the drift to the first run after it; None: none came.
        gain: how much of the loss it saved, of what never retraining lost, after the drift (or
            over all windows where there is none).
        runs: per 100 windows.
        seconds: of training.
    """

    false: float
    told: int | None
    gain: float
    runs: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of the benchmark."""

    family: str
    drift: str
    delay: int
    seed: int


Found = dict[tuple[str, str], Score]


def triggers_of(task: str) -> dict[str, list[dict[str, object]]]:
    """Return the triggers for a task."""
    metric, drop = DROP[task]
    skill: dict[str, object] = {"performance": metric, "drop": drop, "min_rows": 450}
    return {
        **TRIGGERS,
        "skill drops": [skill],
        "skill drops, or 4 weeks": [skill, {"every": "28d"}],
    }


def measure(stream: Stream, shape: Shape) -> Found:
    """Replay every trigger and lane on one stream."""
    history = history_of(stream.family, stream.drift, stream.delay, stream.seed, shape)
    task = history.target.task
    with tempfile.TemporaryDirectory(prefix="mlreg-triggers-") as name:
        first = _policy(stream, task, triggers_of(task)["weekly"], LANES["full"])
        world = ReplayedWorld(history, Path(name))
        start = START + shape.warm * DAY
        span = (Interval(start, START + shape.windows * DAY), DAY)
        with Path(os.devnull).open("w", encoding="utf-8") as sink, redirect_stdout(sink):
            made = world.train(Wanted(start, "full", first, None))
            never = _losses(history, world, replay(None, world, made, span))
            found: Found = {}
            for (trigger, said), (lane, rule) in product(triggers_of(task).items(), LANES.items()):
                policy = _policy(stream, task, said, rule)
                course = replay(policy, world, made, span)
                losses = _losses(history, world, course)
                found[trigger, lane] = _score(stream, shape, course, losses, never)
    return found


def _policy(stream: Stream, task: str, triggers: object, lanes: object):
    delay = f"{stream.delay}d" if stream.delay else "1s"
    params = {"objective": task, "num_leaves": 15, "min_data_in_leaf": 20}
    return parse_policy(
        json.dumps(
            {
                "model": "stream",
                "data": {"train_window": "21d", "evaluate_window": "1h", "label_delay": delay},
                "triggers": triggers,
                "cooldown": "1s",
                "retrain": {"params": params, "rounds": ROUNDS, "lanes": lanes},
            }
        )
    )


def _losses(history: History, world: ReplayedWorld, course: Course) -> np.ndarray:
    """Return the mean loss of each window under whichever model served."""
    loss = "rmse" if history.target.task == "regression" else "log_loss"
    found = []
    for made, window in zip(course.served, course.windows, strict=True):
        rows = history.part(window)
        scores = world.models.scores(made, rows)
        found.append(row_losses(loss, history.labels[rows], scores).mean())
    return np.array(found)


def _score(
    stream: Stream, shape: Shape, course: Course, losses: np.ndarray, never: np.ndarray
) -> Score:
    windows = len(course.windows)
    change = shape.change - shape.warm if stream.drift != "none" else windows
    places = [(run.at - course.windows[0].start) // DAY - 1 for run in course.runs]
    after = [place - change for place in places if place >= change]
    part = slice(change, None) if change < windows else slice(None)
    return Score(
        false=100.0 * sum(place < change for place in places) / change,
        told=min(after) + 1 if after else None,
        gain=float(1.0 - losses[part].mean() / never[part].mean()),
        runs=100.0 * len(places) / windows,
        seconds=sum(run.seconds for run in course.runs),
    )


def streams_of(drifts, delays, seeds: int) -> Iterator[Stream]:
    """Yield every stream of these drifts and delays."""
    for family, drift, delay, seed in product(FAMILIES, drifts, delays, range(seeds)):
        yield Stream(family, drift, delay, seed)


def measure_all(streams: list[Stream], shape: Shape, workers: int) -> dict[Stream, Found]:
    """Measure every stream, several at a time."""
    found = {}
    with ProcessPoolExecutor(workers) as pool:
        for number, (stream, one) in enumerate(
            zip(streams, pool.map(measure, streams, [shape] * len(streams)), strict=True), start=1
        ):
            found[stream] = one
            sys.stderr.write(f"{number} of {len(streams)} streams\n")
    return found


def tables(found: dict[Stream, Found], seeds: int, shape: Shape) -> str:
    """Return the tables of the page, as Markdown."""
    lines = [_HEAD.format(seeds=seeds, streams=len(found), **_sizes(shape)), ""]
    lines += _whole(found)
    for family in FAMILIES:
        lines += _gains(found, family)
    lines += _by_delay(found)
    return "\n".join(lines)


def _sizes(shape: Shape) -> dict[str, int]:
    return {
        "rows": shape.rows,
        "windows": shape.windows - shape.warm,
        "change": shape.change - shape.warm,
        "rounds": ROUNDS,
    }


def _whole(found: dict[Stream, Found]) -> list[str]:
    """All families together, labels a window late."""
    lines = [
        "### False retrains, delay and cost (labels one window late)",
        "",
        (
            "| trigger | lane | false runs per 100 windows | told: abrupt | told: gradual | "
            "runs per 100 windows | train seconds |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for trigger, lane in product(TRIGGERS, LANES):
        calm = _of(found, trigger, lane, drift="none", delay=1)
        some = _of(found, trigger, lane, delay=1)
        told = [
            _told(_of(found, trigger, lane, drift=drift, delay=1))
            for drift in ("abrupt", "gradual")
        ]
        cells = [
            _mean([one.false for one in calm], "{:.1f}"),
            *told,
            f"{np.mean([one.runs for one in some]):.0f}",
            f"{np.mean([one.seconds for one in some]):.2f}",
        ]
        lines.append(f"| {trigger} | {lane} | {' | '.join(cells)} |")
    return [*lines, ""]


def _gains(found: dict[Stream, Found], family: str) -> list[str]:
    lines = [
        f"### {family}: share of the loss saved (labels one window late)",
        "",
        "| trigger | lane | " + " | ".join(DRIFTS) + " |",
        "|---|---|---|---|---|---|",
    ]
    for trigger, lane in product(TRIGGERS, LANES):
        cells = [
            _mean(
                [
                    one.gain
                    for one in _of(found, trigger, lane, family=family, drift=drift, delay=1)
                ],
                "{:+.1%}",
            )
            for drift in DRIFTS
        ]
        lines.append(f"| {trigger} | {lane} | {' | '.join(cells)} |")
    return [*lines, ""]


def _by_delay(found: dict[Stream, Found]) -> list[str]:
    lines = [
        "### Later labels: share of the loss saved after abrupt drift, all families, lane full",
        "",
        "| trigger | " + " | ".join(f"{delay} windows late" for delay in DELAYS) + " |",
        "|---|---|---|---|",
    ]
    for trigger in TRIGGERS:
        cells = [
            _mean(
                [one.gain for one in _of(found, trigger, "full", drift="abrupt", delay=delay)],
                "{:+.1%}",
            )
            for delay in DELAYS
        ]
        lines.append(f"| {trigger} | {' | '.join(cells)} |")
    return lines


def _of(found: dict[Stream, Found], trigger: str, lane: str, **wanted: object) -> list[Score]:
    return [
        one[trigger, lane]
        for stream, one in found.items()
        if all(getattr(stream, name) == value for name, value in wanted.items())
    ]


def _told(scores: list[Score]) -> str:
    within = [one.told for one in scores if one.told is not None and one.told <= 14]
    if not scores:
        return "-"
    share = len(within) / len(scores)
    return f"{share:.0%}, {np.median(within):.0f} d" if within else "never"


def _mean(values: list[float], form: str) -> str:
    if not values:
        return "-"
    mean = form.format(np.mean(values))
    if len(values) < 3:
        return mean
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean} ± {form.format(stdtrit(len(values) - 1, 0.975) * error).lstrip('+')}"


_HEAD = """\
Simulated: {streams} streams ({seeds} of each of SEA, Agrawal, Hyperplane, Friedman; no, abrupt, \
gradual, recurring drift; labels 0, 1 or 4 windows late), {rows} rows a window, {windows} windows \
after a first model, drift at window {change}; {rounds} trees, trained on three weeks. Told: share \
of drifts after which a run came within 14 windows, and the median windows until it. Share of the \
loss saved: of what never retraining loses, after the drift (no drift: over all windows). \
± is an interval of 95 % over streams."""


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="measure a few streams, as numbers")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    shape = Shape()
    if asked.json:
        print(json.dumps(numbers(shape)))
        return
    streams = [
        *streams_of(DRIFTS, [1], asked.seeds),
        *streams_of(["abrupt"], [delay for delay in DELAYS if delay != 1], asked.seeds),
    ]
    began = time.monotonic()
    text = tables(measure_all(streams, shape, asked.workers), asked.seeds, shape)
    print(text)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    if asked.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def numbers(shape: Shape) -> dict[str, float]:
    """Measure one family: false runs where nothing drifts, and windows until an abrupt drift."""
    found: dict[str, float] = defaultdict(float)
    for drift in ("none", "abrupt"):
        scores = measure(Stream("SEA", drift, 1, 0), shape)
        one = scores["skill drops", "full"]
        if drift == "none":
            found["false runs per 100 windows"] = one.false
        else:
            found["windows until a run"] = float("inf") if one.told is None else float(one.told)
            found["share of loss saved"] = one.gain
    return dict(found)


TARGETS = {
    "false runs per 100 windows": ("<=", 4.0),
    "windows until a run": ("<=", 7.0),
    "share of loss saved": (">=", 0.02),
}

if __name__ == "__main__":
    main()
