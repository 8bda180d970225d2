"""The monitors that are read for every closed window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.monitors.drift import DriftMonitor
from mlreg.controller.monitors.quality import QualityMonitor
from mlreg.controller.monitors.volume import VolumeMonitor

if TYPE_CHECKING:
    from mlreg.controller.monitors.monitor import Monitor

MONITORS: tuple[Monitor, ...] = (VolumeMonitor(), QualityMonitor(), DriftMonitor())
