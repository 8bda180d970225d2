"""Change detectors: false alarms without a change, and how soon a change is told."""

import numpy as np

from mlreg.controller.monitors.change import LEAST_POINTS, adwin_changes, page_hinkley_changes


def losses(seed, *, hours=24 * 42, rise=0.0, at=24 * 21, season=0.02):
    """Return hourly mean losses of 40 rows an hour, with a day's rhythm, that rise at a point."""
    rng = np.random.default_rng(seed)
    hour = np.arange(hours)
    mean = 0.5 + season * np.sin(2 * np.pi * hour / 24) + rise * (hour >= at)
    return rng.gamma(40, mean / 40).tolist()


def test_without_a_change_hardly_any_is_told():
    """60 streams of six weeks: of each detector, at most three tell anything."""
    streams = [losses(seed) for seed in range(60)]
    for detector in (adwin_changes, page_hinkley_changes):
        assert sum(bool(detector(one)) for one in streams) <= 3


def test_a_rise_is_told_within_days():
    """The mean loss rises by a fifth: every stream is told of it, half of them within three."""
    for detector in (adwin_changes, page_hinkley_changes):
        delays = []
        for seed in range(20):
            told = [one for one in detector(losses(seed, rise=0.1)) if one.told >= 24 * 21]
            assert told
            assert told[0].before < told[0].after
            delays.append(told[0].told - 24 * 21)
        assert np.median(delays) <= 72


def test_a_fall_is_no_change():
    for detector in (adwin_changes, page_hinkley_changes):
        assert detector(losses(1, rise=-0.2, season=0.0)) == []


def test_too_few_points_tell_nothing():
    for detector in (adwin_changes, page_hinkley_changes):
        assert detector([0.1] * (LEAST_POINTS // 2) + [9.0] * (LEAST_POINTS // 2 - 1)) == []
        assert detector([0.5] * 500) == []


def test_the_same_losses_tell_the_same():
    series = losses(3, rise=0.2)
    assert adwin_changes(series) == adwin_changes(series)
    assert page_hinkley_changes(series)[0] == page_hinkley_changes(series[: 24 * 30])[0]
