"""Labels of workers: `retrain: {worker: gpu}` waits for a worker that was started with `gpu`."""

from __future__ import annotations

from typing import TypeAlias

from mlreg.registry.domain.names import Name

WorkerLabel: TypeAlias = Name
"""What the operator calls machines of one kind: `cpu`, `gpu`, `big`; of the form of a name."""
