"""A collection of garbage does not stop the API for what it was started with."""

import gc

import pytest

from mlreg.cli.server import settle_memory


@pytest.fixture
def _thawed():
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_the_collector_looks_at_what_came_after_the_start_only():
    before = len(gc.get_objects())
    settle_memory()
    assert len(gc.get_objects()) < before / 10
    assert gc.get_freeze_count() > before / 2
