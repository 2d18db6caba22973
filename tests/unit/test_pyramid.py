"""The whole two-time correlation function is denoised, at the scale that suits each lag."""

import numpy as np
import pytest

from cnn_ed import Ensemble
from cnn_ed.posterior.scans import Dynamics, counted, intensity
from cnn_ed.pyramid import Blocks, block_numbers, means_over_age, whole_triangle
from cnn_ed.scaling import smooth_scaling
from cnn_ed.windows import window_starts
from twotime.xpcs import decay, two_time

SCAN = Dynamics(frames=300, pixels=1200, counts=0.15, rate=0.03, beta=0.2, baseline=1.0, alpha=1.0)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


@pytest.fixture(scope="module")
def measured() -> np.ndarray:
    rng = np.random.default_rng(4)
    return two_time(counted(intensity(SCAN, rng), SCAN.counts, rng))


def expected(dynamics: Dynamics) -> np.ndarray:
    lag = np.abs(np.arange(dynamics.frames)[:, None] - np.arange(dynamics.frames))
    return decay(lag, dynamics.rate, dynamics.beta, dynamics.baseline, dynamics.alpha)


def test_whole_triangle_has_less_than_a_half_percent_of_the_noise(ensemble: Ensemble, measured: np.ndarray) -> None:
    denoised = ensemble.denoise(measured, rate_per_frame=SCAN.rate)
    upper = np.triu_indices(SCAN.frames, 1)
    assert denoised.mask.all()
    assert np.isfinite(denoised.spread).all()
    left, raw = (np.mean((values - expected(SCAN))[upper] ** 2) for values in (denoised.values, measured))
    assert left < 0.005 * raw
    np.testing.assert_array_equal(denoised.values, denoised.values.T)


def test_scales_hand_over_without_a_seam(ensemble: Ensemble, measured: np.ndarray) -> None:
    """The mean curve bends nowhere between scales by more than the models disagree."""
    denoised = ensemble.denoise(measured, rate_per_frame=SCAN.rate)
    curve = np.array([np.diagonal(denoised.values, lag).mean() for lag in range(20, 250)])
    spread = np.array([np.diagonal(denoised.spread, lag).mean() for lag in range(21, 249)])
    assert (np.abs(np.diff(curve, 2)) <= np.maximum(spread, 1e-3 * SCAN.beta)).all()
    assert (np.diff(denoised.scale) >= -1e-6).all()
    assert denoised.scale[1] == 1
    assert denoised.scale[-1] == pytest.approx(SCAN.frames / 50)


def test_bad_frames_stay_unknown(ensemble: Ensemble, measured: np.ndarray) -> None:
    holed = measured.copy()
    holed[100:103] = holed[:, 100:103] = np.nan
    denoised = ensemble.denoise(holed, rate_per_frame=SCAN.rate)
    np.testing.assert_array_equal(np.isnan(denoised.values), np.isnan(holed))
    np.testing.assert_array_equal(denoised.mask, np.isfinite(holed))


@pytest.mark.parametrize("n_frames", [50, 51, 60, 87, 88, 101])
def test_short_scans_are_denoised_whole(ensemble: Ensemble, measured: np.ndarray, n_frames: int) -> None:
    denoised = ensemble.denoise(measured[:n_frames, :n_frames], rate_per_frame=SCAN.rate)
    assert np.isfinite(denoised.values).all()


def test_noise_alone_becomes_the_baseline(ensemble: Ensemble) -> None:
    noise = two_time(np.random.default_rng(3).poisson(0.3, (200, 800)))
    denoised = ensemble.denoise(noise, rate_per_frame=None)
    upper = np.triu_indices(200, 1)
    assert np.mean((denoised.values[upper] - 1) ** 2) < 0.02 * np.mean((noise[upper] - 1) ** 2)


def test_low_contrast_window_does_not_decide_its_own_scale() -> None:
    faint = Dynamics(frames=350, pixels=600, counts=0.3, rate=0.025, beta=0.064, baseline=1.027, alpha=0.77)
    rng = np.random.default_rng(8)
    c2 = two_time(counted(intensity(faint, rng), faint.counts, rng))
    scaling = smooth_scaling(c2, window_starts(350), 50)
    assert scaling.baseline == pytest.approx(1.027, abs=0.02)
    assert scaling.contrast == pytest.approx(np.full(len(scaling.contrast), scaling.whole), rel=0.35)
    lag_one = np.array([np.diagonal(c2, 1)[s : s + 49].mean() - 1 for s in window_starts(350)])
    assert np.ptp(scaling.contrast) < np.ptp(lag_one)


def test_blocks_hold_means_over_their_frames_without_single_frames() -> None:
    c2 = np.arange(36, dtype=np.float32).reshape(6, 6)
    c2 = (c2 + c2.T) / 2
    blocks = Blocks.of_frames(c2, 3)
    assert blocks.size == 2
    assert blocks.two_time[0, 1] == pytest.approx(c2[:2, 2:4].mean())
    assert blocks.two_time[1, 1] == pytest.approx(c2[2, 3])


def test_halved_blocks_are_those_made_at_once() -> None:
    rng = np.random.default_rng(1)
    c2 = rng.normal(1, 0.1, (90, 90)).astype(np.float32)
    c2[7] = c2[:, 7] = np.nan
    half, once = Blocks.of_frames(c2, 40).halved(), Blocks.of_frames(c2, 20)
    np.testing.assert_allclose(half.two_time, once.two_time, rtol=1e-5)


def test_blocks_end_with_one_window() -> None:
    for n_frames in (51, 99, 100, 500, 20_000):
        assert block_numbers(n_frames, 50)[-1] == 50


def test_what_depends_on_lag_alone_passes_unchanged() -> None:
    n = 200
    lag = np.abs(np.arange(n)[:, None] - np.arange(n))
    c2 = (1 + 0.2 * np.exp(-lag / 300)).astype(np.float32)

    def kept(coarse: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
        return means_over_age(coarse, 50)

    values, _, _ = whole_triangle(c2, means_over_age(c2, 50), kept, None)
    np.testing.assert_allclose(values[lag > 0], c2[lag > 0], atol=2e-3)


def test_unknown_way_of_scaling_is_refused(ensemble: Ensemble, measured: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected 'smooth', 'window' or 'global'"):
        ensemble.denoise(measured, contrast="local")
