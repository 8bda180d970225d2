"""What a benchmark prints: each number beside its target, or one JSON document."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Target = tuple[str, float]


def report(measure: Callable[[], dict[str, float]], targets: Mapping[str, Target]) -> None:
    """Measure and print; `--json` prints the numbers alone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    found = measure()
    if as_json:
        print(json.dumps(found))
        return
    for name, number in found.items():
        print(line(name, number, targets.get(name)))


def line(name: str, number: float, target: Target | None) -> str:
    """Return one line: the name, the number, the target, and whether it holds."""
    if target is None:
        return f"{name:40} {number:14,.3f}"
    sign, wanted = target
    holds = number >= wanted if sign == ">=" else number <= wanted
    return f"{name:40} {number:14,.3f}   {sign} {wanted:<10,.3g} {'ok' if holds else 'MISSED'}"
