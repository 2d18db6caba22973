"""Filters that the denoiser is compared with, and how detection is counted."""

import numpy as np
import pytest

from frame_denoiser.detection import equal_exposure, true_positive_rate
from frame_denoiser.rivals import RIVALS, STARLET_NOISE, Rival, anscombe, inverse_anscombe, wavelet
from frame_denoiser.rivals import _spline as spline


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_filter_keeps_the_rate_of_a_flat_frame_and_ignores_masked_pixels(rival: Rival) -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((64, 64)) > 0.02
    counts = np.where(mask, rng.poisson(20.0, (64, 64)), 1e6)
    rate = rival.apply(counts.astype(float), mask, rival.strengths[-1])
    assert rate[mask].mean() == pytest.approx(20, rel=0.02)
    assert rate.max() < 60


@pytest.mark.parametrize("rate", [2.0, 10.0, 100.0])
def test_inverse_of_the_anscombe_transform_is_unbiased(rate: float) -> None:
    counts = np.random.default_rng(2).poisson(rate, 400_000).astype(float)
    assert inverse_anscombe(anscombe(counts).mean(keepdims=True))[0] == pytest.approx(rate, rel=0.01)


def test_starlet_noise_is_that_of_white_noise() -> None:
    smooth = np.zeros((257, 257))
    smooth[128, 128] = 1
    for scale, noise in enumerate(STARLET_NOISE):
        coarser = spline(smooth, 2**scale)
        assert np.linalg.norm(smooth - coarser) == pytest.approx(noise, rel=0.01)
        smooth = coarser


def test_wavelet_keeps_a_bright_peak() -> None:
    rows, columns = np.mgrid[:64, :64]
    rate = 1 + 200 * np.exp(-((rows - 30) ** 2 + (columns - 34) ** 2) / 8)
    counts = np.random.default_rng(3).poisson(rate).astype(float)
    found = wavelet(counts, np.ones(rate.shape, bool), 3.0)
    assert found[30, 34] == pytest.approx(rate[30, 34], rel=0.3)


def test_true_positive_rate_counts_scores_above_the_threshold() -> None:
    without = np.arange(100.0)
    assert true_positive_rate(without, np.full(10, 200.0)) == 1.0
    assert true_positive_rate(without, np.full(10, -1.0)) == 0.0
    assert true_positive_rate(np.zeros(20), np.zeros(20)) == 0.5


def test_equal_exposure_is_interpolated() -> None:
    raw = {1: 0.1, 10: 0.5, 100: 1.0}
    assert equal_exposure(raw, 0.05) == 1.0
    assert equal_exposure(raw, 0.3) == pytest.approx(10**0.5)
    assert equal_exposure({1: 0.1, 10: 0.5}, 0.9) == 10
