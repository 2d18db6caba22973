"""Frames in which beam or detector had moved are found, and changes of the sample are not taken for them."""

from dataclasses import replace

import numpy as np
import pytest

from cnn_ed import Ensemble
from cnn_ed.posterior.scans import Dynamics, counted, intensity
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.recipe import DenoiseOptions, FitOptions
from twotime.xpcs import two_time
from twotime.xpcs.excursions import find_excursions

SCAN = Dynamics(frames=200, pixels=1000, counts=1.0, rate=0.01, beta=0.2, baseline=1.0, alpha=1.0)
MOVED = slice(80, 86)


def pixels(dynamics: Dynamics, seed: int, moved: slice = slice(0)) -> np.ndarray:
    """Counts (N, P); frames `moved` show other speckle."""
    rng = np.random.default_rng(seed)
    seen, elsewhere = intensity(dynamics, rng), intensity(dynamics, rng)
    seen[moved] = elsewhere[moved]
    return counted(seen, dynamics.counts, rng)


@pytest.mark.parametrize("seed", range(4))
def test_frames_that_show_other_speckle_for_a_while_are_found(seed: int) -> None:
    found = find_excursions(two_time(pixels(SCAN, seed, MOVED)))

    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(80, 86))


def test_single_frame_and_two_stretches_are_found() -> None:
    counts = pixels(SCAN, 1, slice(120, 121))
    counts[40:44] = pixels(SCAN, 2)[40:44]

    found = find_excursions(two_time(counts))

    np.testing.assert_array_equal(np.flatnonzero(found), [40, 41, 42, 43, 120])


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("counts", [0.05, 1.0])
def test_stationary_scan_has_none(rate: float, counts: float) -> None:
    for seed in range(3):
        assert not find_excursions(two_time(pixels(replace(SCAN, rate=rate, counts=counts), seed))).any()


def test_sudden_change_of_the_sample_is_none() -> None:
    before, after = (pixels(replace(SCAN, frames=100), seed) for seed in (1, 2))

    assert not find_excursions(two_time(np.concatenate([before, after]))).any()


def test_change_of_the_rate_is_none() -> None:
    rng = np.random.default_rng(3)
    parts = [intensity(replace(SCAN, frames=100, rate=rate), rng) for rate in (0.005, 0.05)]

    assert not find_excursions(two_time(counted(np.concatenate(parts), 1.0, rng))).any()


def test_bad_frames_beside_an_excursion_do_not_hide_it() -> None:
    c2 = two_time(pixels(SCAN, 1, MOVED))
    c2[78:80] = c2[:, 78:80] = np.nan

    np.testing.assert_array_equal(np.flatnonzero(find_excursions(c2)), np.arange(80, 86))


def analysed(counts: np.ndarray, doubtful: np.ndarray | None) -> RoiResult:
    sound = np.zeros(len(counts), bool)
    ensemble = Ensemble.load()
    return analyse_roi(counts, sound, 1.0, DenoiseOptions(), FitOptions(), ensemble, doubtful=doubtful)


def test_excursion_does_not_count_as_dynamics() -> None:
    """The curve is that of the same scan without the excursion; the picture has a gap."""
    undisturbed = analysed(pixels(SCAN, 1), None)
    disturbed = analysed(pixels(SCAN, 1, MOVED), np.ones(SCAN.frames, bool))

    assert disturbed.excursions.sum() == 6
    assert np.isnan(disturbed.c2[80]).all()
    np.testing.assert_allclose(disturbed.raw.g2[:50], undisturbed.raw.g2[:50], atol=0.01)


def test_frames_that_are_not_doubtful_stay() -> None:
    kept = np.ones(SCAN.frames, bool)
    kept[MOVED] = False

    assert not analysed(pixels(SCAN, 1, MOVED), kept).excursions.any()
