"""What the estimate knows, and what it admits not to know."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import twotime
from cnn_ed import Ensemble
from cnn_ed.posterior import Estimator
from cnn_ed.posterior.curves import EDGES, BinnedCurves, bin_curves
from cnn_ed.posterior.mixture import Mixture
from cnn_ed.posterior.scans import Dynamics, counted, curves_of, from_fields, intensity
from twotime.xpcs import decay, fit_decay, two_time

SCAN = Dynamics(frames=200, pixels=1500, counts=0.3, rate=0.04, beta=0.15, baseline=1.0, alpha=1.0)


def pixels_of(dynamics: Dynamics, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return counted(intensity(dynamics, rng), dynamics.counts, rng)


def test_rates_of_simulated_scans_lie_within_their_intervals() -> None:
    rows = [twotime.estimate(pixels_of(SCAN, seed)) for seed in range(12)]
    inside = [row.interval_95[0, 0, 0] <= SCAN.rate <= row.interval_95[0, 0, 1] for row in rows]
    assert sum(inside) >= 11
    assert sum(bool(row.trusted[0]) for row in rows) >= 10
    assert abs(np.median([row.relaxation_rate[0] for row in rows]) / SCAN.rate - 1) < 0.08


def test_rate_in_seconds_is_that_per_frame_over_the_frame_time() -> None:
    pixels = pixels_of(SCAN)
    per_frame, per_second = twotime.estimate(pixels), twotime.estimate(pixels, frame_time_s=0.01)
    assert per_second.relaxation_rate == pytest.approx(per_frame.relaxation_rate * 100)
    assert per_second.interval_68[:, 0] == pytest.approx(per_frame.interval_68[:, 0] * 100)
    assert per_second.interval_68[:, 1:] == pytest.approx(per_frame.interval_68[:, 1:])


def test_two_time_function_alone_gives_the_rate() -> None:
    row = twotime.estimate_two_time(two_time(pixels_of(SCAN)))
    assert row.interval_95[0, 0, 0] <= SCAN.rate <= row.interval_95[0, 0, 1]


def test_many_photons_leave_estimate_and_fit_at_the_same_rate() -> None:
    bright = Dynamics(frames=600, pixels=1500, counts=20.0, rate=0.05, beta=0.3, baseline=1.0, alpha=1.0)
    curves = curves_of(pixels_of(bright))
    row = Estimator.load().of_binned(curves)
    assert row.relaxation_rate[0] == pytest.approx(curves.fit[0, 0], rel=0.05)
    assert row.relaxation_rate[0] == pytest.approx(bright.rate, rel=0.1)


@pytest.mark.parametrize("kind", ["noise", "static", "oscillating", "two decays"])
def test_what_has_no_rate_gets_none(kind: str) -> None:
    rng = np.random.default_rng(5)
    lag = np.abs(np.arange(200)[:, None] - np.arange(200))
    if kind == "noise":
        relative = np.ones((200, 1500), np.float32)
    else:
        field = {
            "static": np.ones(lag.shape),
            "oscillating": np.exp(-0.02 * lag) * np.cos(0.5 * lag),
            "two decays": (np.exp(-0.2 * lag) + np.exp(-0.005 * lag)) / 2,
        }[kind]
        factor = np.linalg.cholesky(field + 1e-6 * np.eye(200)).astype(np.float32)
        relative = from_fields(factor, SCAN, rng)
    row = twotime.estimate(counted(relative, 1.0, rng))
    assert not row.trusted[0]
    assert row.reason[0]


def test_windows_at_contrast_one_give_their_rate() -> None:
    lag = np.abs(np.arange(50)[:, None] - np.arange(50))
    rates = np.array([0.03, 0.06, 0.1])
    noise = np.random.default_rng(2).normal(0, 0.3, (3, 50, 50))
    windows = 1 + np.exp(-2 * rates[:, None, None] * lag) + (noise + noise.transpose(0, 2, 1)) / 2
    rows = Ensemble.load().estimate(windows.astype(np.float32))
    np.testing.assert_allclose(rows.relaxation_rate, rates, rtol=0.35)
    assert rows.interval_95.shape == (3, 4, 2)


def test_fixed_parameters_keep_their_value_and_narrow_the_others() -> None:
    curves = curves_of(pixels_of(SCAN))
    estimator = Estimator.load()
    free, fixed = estimator.of_binned(curves), estimator.of_binned(curves, fixed={"baseline": 1.0, "alpha": 1.0})
    assert fixed.baseline[0] == 1.0
    assert fixed.alpha[0] == pytest.approx(1.0)
    assert fixed.alpha_error[0] == fixed.baseline_error[0] == 0.0
    assert fixed.relaxation_rate_error[0] < free.relaxation_rate_error[0]


def test_bounds_hold_for_every_interval() -> None:
    curves = curves_of(pixels_of(SCAN))
    row = Estimator.load().of_binned(curves, bounds={"alpha": (0.9, 1.1)})
    assert 0.9 <= row.interval_95[0, 3, 0] < row.alpha[0] < row.interval_95[0, 3, 1] <= 1.1


def test_bounds_that_exclude_the_data_are_said() -> None:
    row = Estimator.load().of_binned(curves_of(pixels_of(SCAN)), bounds={"relaxation_rate": (5.0, 6.0)})
    assert not row.trusted[0]
    assert "bounds leave out" in row.reason[0]


def test_quantiles_of_one_gaussian_are_its_own() -> None:
    one = Mixture(torch.ones(1, 1), torch.tensor([[[1.0, -2.0]]]), torch.diag(torch.tensor([4.0, 0.25]))[None, None])
    quantiles = one.quantiles((0.16, 0.5, 0.84))[0].numpy()
    np.testing.assert_allclose(quantiles, [[1 - 1.989, 1, 1 + 1.989], [-2.497, -2, -1.503]], atol=2e-3)


def test_known_value_moves_what_hangs_together_with_it() -> None:
    covariance = torch.tensor([[[[1.0, 0.8], [0.8, 1.0]]]])
    told = Mixture(torch.ones(1, 1), torch.zeros(1, 1, 2), covariance).given({1: torch.tensor([1.0])})
    np.testing.assert_allclose(told.mean[0, 0].numpy(), [0.8, 1.0], atol=1e-6)
    assert told.covariance[0, 0, 0, 0].item() == pytest.approx(1 - 0.8**2)


def test_bins_hold_means_of_their_lags_and_errors_of_independent_ones_shrink() -> None:
    lag = np.arange(1, 91)
    g2 = decay(lag, 0.03, 0.2, 1.0, 1.0)[None]
    fits = fit_decay(lag, g2)
    curves, unit = bin_curves(lag, g2, np.diag(np.full(90, 1e-4)), fits, 120)
    assert unit == 1
    own = (lag >= EDGES[12]) & (lag < EDGES[13])
    weights = (120 - lag[own]) / (120 - lag[own]).sum()
    assert curves.value[0, 12] == pytest.approx(weights @ g2[0, own] - 1)
    assert curves.error[0, 12] == pytest.approx(0.01 * np.sqrt((weights**2).sum()))
    assert np.isnan(curves.value[0, EDGES[:-1] > 90]).all()


def test_curves_join_and_part_in_order() -> None:
    curves = curves_of(pixels_of(SCAN), ages=3)
    again = BinnedCurves.joined([curves.rows(slice(0, 1)), curves.rows(slice(1, None))])
    np.testing.assert_array_equal(again.value, curves.value)
    assert len(curves) == 4


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.ones((10, 100)), "N at least 50"),
        (np.ones(100), "expected (N, P)"),
        (-np.ones((60, 100)), "negative or non-finite"),
        (np.full((60, 100), np.nan), "negative or non-finite"),
        (np.zeros((60, 100)), "counts in 0 of 60 frames"),
    ],
)
def test_useless_pixels_are_refused_in_a_sentence(pixels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        twotime.estimate(pixels)


@pytest.mark.parametrize(
    ("c2", "words"),
    [
        (np.ones((60, 70)), "expected (N, N)"),
        (np.ones((20, 20)), "N at least 50"),
        (np.full((60, 60), np.nan), "for 0 of 59 ages"),
        (np.random.default_rng(1).normal(1, 0.1, (60, 60)), "mirror image"),
    ],
)
def test_useless_two_time_functions_are_refused_in_a_sentence(c2: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        twotime.estimate_two_time(c2)


@pytest.mark.parametrize("baseline", [0.3, 1.0, 3.0])
def test_constant_two_time_function_gives_no_confident_rate(baseline: float) -> None:
    assert not twotime.estimate_two_time(np.full((80, 80), baseline)).trusted[0]


def test_frame_time_must_be_positive() -> None:
    with pytest.raises(ValueError, match="frame_time_s is 0"):
        twotime.estimate(np.ones((60, 20)), frame_time_s=0)


def test_estimating_loads_neither_tiled_nor_fastapi() -> None:
    modules = "twotime, twotime.xpcs, cnn_ed, frame_denoiser"
    script = f"import sys, {modules}; twotime.estimate; print({{'tiled', 'fastapi'}} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    assert told.stdout.strip() == "set()"
