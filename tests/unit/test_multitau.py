"""Multi-tau curves agree with the diagonals of the two-time function, and know their errors."""

import numpy as np
import pytest

from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry, multi_tau, one_time, two_time

GEOMETRY = Geometry(-60.0, 30.0, 5.0, 1.24, 75e-6, 0.01)


def pixels(seed: int, n_frames: int = 128, counts: float = 1.0) -> np.ndarray:
    model = SpeckleModel((20, 40), GEOMETRY, diffusion=4e5, contrast=0.3, mean_counts=counts, seed=seed)
    return simulate_frames(model, n_frames).reshape(n_frames, -1)


def test_lags_are_those_of_eight_buffers() -> None:
    found = multi_tau(pixels(0))

    assert found.lag.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96]


def test_first_lags_are_the_means_of_the_diagonals() -> None:
    counts = pixels(1)

    expected = one_time(two_time(counts)).g2[:8]
    np.testing.assert_allclose(multi_tau(counts).g2[:8], expected, atol=2e-3)


def test_coarse_lags_are_the_correlation_of_sums() -> None:
    counts = pixels(2)
    found = multi_tau(counts)
    sums = counts.reshape(64, 2, -1).sum(axis=1).astype(float)

    past, future = sums[:-5], sums[5:]
    expected = (past * future).mean() / past.mean() / future.mean()
    assert found.g2[found.lag == 10][0] == pytest.approx(expected, rel=1e-5)


def test_frames_that_are_bad_leave_no_trace() -> None:
    counts = pixels(3)
    spoilt = counts.copy()
    bad = np.zeros(len(counts), bool)
    bad[[40, 41, 90]] = True
    spoilt[bad] *= 50

    np.testing.assert_allclose(multi_tau(spoilt, bad=bad).g2, multi_tau(counts, bad=bad).g2)
    assert np.isnan(multi_tau(counts, bad=np.ones(len(counts), bool)).g2).all()


def test_errors_are_right_as_often_as_they_claim() -> None:
    found = [multi_tau(pixels(seed, n_frames=64)) for seed in range(60)]
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("g2", "error"))

    pull = (values - values.mean(axis=0)) / errors
    assert 0.7 < pull.std() < 1.4


def test_drifting_intensity_does_not_tilt_the_curve() -> None:
    rng = np.random.default_rng(5)
    drift = np.linspace(0.5, 2.0, 256)[:, None]
    found = multi_tau(rng.poisson(drift * np.ones((256, 3000))))

    # Over all pairs of a drifting scan <I I'> / (<I> <I'>) is the drift's own correlation, above 1 at every lag.
    own = np.array([(drift[:-k] * drift[k:]).mean() / drift[:-k].mean() / drift[k:].mean() for k in found.lag[:8]])
    np.testing.assert_allclose(found.g2[:8], own, atol=0.01)
