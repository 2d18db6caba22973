"""The denoised two-time correlation function agrees with the measured curve where that is certain."""

from dataclasses import replace

import numpy as np
import pytest

from cnn_ed import DenoisedTwoTime, Ensemble
from cnn_ed.consistency import MeasuredCurve, consistent
from cnn_ed.posterior.scans import Dynamics, counted, intensity
from twotime.pipeline.certainty import measured_curve
from twotime.xpcs import decay, fit_decay, one_time, two_time
from twotime.xpcs.onetime import pixel_covariance

MANY = Dynamics(frames=300, pixels=1500, counts=4.0, rate=0.03, beta=0.2, baseline=1.0, alpha=1.0)
FEW = replace(MANY, counts=0.1)
LAG = np.arange(1, 226)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


def scan(dynamics: Dynamics, seed: int) -> tuple[np.ndarray, MeasuredCurve]:
    rng = np.random.default_rng(seed)
    return of_counts(counted(intensity(dynamics, rng), dynamics.counts, rng))


def of_counts(pixels: np.ndarray) -> tuple[np.ndarray, MeasuredCurve]:
    c2 = two_time(pixels)
    g2, covariance = one_time(c2, max_lag=int(LAG[-1])).g2, pixel_covariance(pixels, LAG)
    fits = fit_decay(LAG, g2[None], np.sqrt(np.diag(covariance))[None])
    return c2, measured_curve(LAG, g2, covariance, fits, pixels, len(pixels))


def moved(denoised: DenoisedTwoTime, curve: MeasuredCurve) -> tuple[np.ndarray, np.ndarray]:
    return consistent(denoised.values, denoised.spread, denoised.scale, curve)


def squared_error(values: np.ndarray, dynamics: Dynamics) -> float:
    lag = np.abs(np.arange(dynamics.frames)[:, None] - np.arange(dynamics.frames))
    truth = decay(lag, dynamics.rate, dynamics.beta, dynamics.baseline, dynamics.alpha)
    return float(np.mean((values - truth)[np.triu_indices(dynamics.frames, 1)] ** 2))


@pytest.mark.parametrize(("dynamics", "share"), [(MANY, 0.7), (FEW, 0.85)], ids=["many photons", "few photons"])
def test_it_leaves_less_of_the_error_of_the_models(ensemble: Ensemble, dynamics: Dynamics, share: float) -> None:
    """Of eight scans together: in one the models may be right by chance."""
    before, after = 0.0, 0.0
    for seed in range(8):
        c2, curve = scan(dynamics, seed)
        denoised = ensemble.denoise(c2, rate_per_frame=dynamics.rate)
        values, _ = moved(denoised, curve)
        before += squared_error(denoised.values, dynamics)
        after += squared_error(values, dynamics)

    assert after < share * before


def test_few_photons_move_it_within_its_spread(ensemble: Ensemble) -> None:
    c2, curve = scan(FEW, 1)
    denoised = ensemble.denoise(c2, rate_per_frame=FEW.rate)

    values, spread = moved(denoised, curve)

    upper = np.triu_indices(FEW.frames, 1)
    assert np.mean((np.abs(values - denoised.values) < 2 * spread)[upper]) > 0.8
    np.testing.assert_array_equal(values, values.T)


def test_step_of_the_rate_stays(ensemble: Ensemble) -> None:
    rng = np.random.default_rng(5)
    slow, fast = (intensity(replace(MANY, frames=150, rate=rate), rng) for rate in (0.02, 0.08))
    pixels = counted(np.concatenate([slow, fast]), MANY.counts, rng)
    c2, curve = of_counts(pixels)

    values, _ = moved(ensemble.denoise(c2, rate_per_frame=0.04), curve)

    diagonal = np.diagonal(values, 10)
    before, after = diagonal[20:120].mean() - 1, diagonal[170:270].mean() - 1
    assert before == pytest.approx(0.2 * np.exp(-2 * 0.02 * 10), rel=0.15)
    assert after == pytest.approx(0.2 * np.exp(-2 * 0.08 * 10), rel=0.3)


def test_bad_frames_stay_unknown(ensemble: Ensemble) -> None:
    c2, curve = scan(MANY, 1)
    c2[100:103] = c2[:, 100:103] = np.nan

    values, spread = moved(ensemble.denoise(c2, rate_per_frame=MANY.rate), curve)

    np.testing.assert_array_equal(np.isnan(values), np.isnan(c2))
    np.testing.assert_array_equal(np.isnan(spread), np.isnan(c2))


def test_curve_of_the_models_that_is_measured_changes_nothing(ensemble: Ensemble) -> None:
    c2, curve = scan(MANY, 1)
    denoised = ensemble.denoise(c2, rate_per_frame=MANY.rate)
    own = np.array([np.diagonal(denoised.values, lag).mean(dtype=float) for lag in LAG])
    unknown = MeasuredCurve(LAG, own, curve.covariance, np.zeros(0, np.int64), np.zeros(0), np.nan)

    values, _ = moved(denoised, unknown)

    np.testing.assert_allclose(values, denoised.values, atol=1e-5)


def test_scan_without_a_fit_keeps_all_changes_with_age() -> None:
    pixels = np.random.default_rng(1).poisson(0.001, (300, 40))
    pixels[0, 0] += 1
    covariance = np.eye(len(LAG))
    fits = fit_decay(LAG, np.full((1, len(LAG)), np.nan), np.ones((1, len(LAG))))

    curve = measured_curve(LAG, np.ones(len(LAG)), covariance, fits, pixels, 300)

    assert np.isnan(curve.rate)
    assert not len(curve.noise_lag)
