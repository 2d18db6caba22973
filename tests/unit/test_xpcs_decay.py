"""Fits of the decay: they find the truth, know their errors, and say when not to trust them."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeWarning, curve_fit

from twotime.xpcs import decay, fit_decay, fit_q_dependence, rate_trend, stationarity
from twotime.xpcs.varpro import SHARED_OUT, normal_matrices

LAG = np.arange(1, 120)


@given(
    rate=st.floats(0.03, 0.2),
    beta=st.floats(0.05, 1.0),
    baseline=st.floats(0.9, 1.3),
    alpha=st.floats(0.7, 1.8),
)
@settings(max_examples=30, deadline=None)
def test_fit_recovers_the_truth_without_noise(rate: float, beta: float, baseline: float, alpha: float) -> None:
    fits = fit_decay(LAG, decay(LAG, rate, beta, baseline, alpha)[None])

    found = [fits.relaxation_rate[0], fits.beta[0], fits.baseline[0], fits.alpha[0]]
    np.testing.assert_allclose(found, [rate, beta, baseline, alpha], rtol=1e-3)


def test_pulls_of_all_parameters_have_mean_zero_and_unit_width() -> None:
    truth = {"relaxation_rate": 0.05, "beta": 0.2, "baseline": 1.01, "alpha": 1.1}
    sigma = np.full((1000, len(LAG)), 0.003)
    g2 = decay(LAG, *truth.values()) + np.random.default_rng(1).normal(0, sigma)

    fits = fit_decay(LAG, g2, sigma=sigma)

    assert fits.trusted.all()
    for name, value in truth.items():
        pull = (getattr(fits, name) - value) / getattr(fits, f"{name}_error")
        assert abs(pull.mean()) < 0.15, name
        assert 0.93 < pull.std() < 1.07, name
        assert 0.65 < np.mean(np.abs(pull) < 1) < 0.71, name
    assert 0.98 < fits.chi2.mean() < 1.02


def test_errors_without_sigma_come_from_the_residuals() -> None:
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0) + np.random.default_rng(1).normal(0, 0.01, (1, len(LAG)))

    weighted = fit_decay(LAG, g2, sigma=np.full_like(g2, 0.01))

    np.testing.assert_allclose(fit_decay(LAG, g2).relaxation_rate_error, weighted.relaxation_rate_error, rtol=0.2)


def test_lags_that_err_together_widen_the_error() -> None:
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0)[None]
    sigma = np.full_like(g2, 0.01)
    together = 1e-4 * np.exp(-np.abs(LAG[:, None] - LAG) / 20)[None]

    apart = fit_decay(LAG, g2, sigma=sigma).relaxation_rate_error
    joined = fit_decay(LAG, g2, sigma=sigma, covariance=together).relaxation_rate_error

    assert joined[0] > 2 * apart[0]


def test_independent_covariance_gives_the_plain_errors() -> None:
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0)[None]
    sigma = np.full_like(g2, 0.01)

    plain = fit_decay(LAG, g2, sigma=sigma)
    joined = fit_decay(LAG, g2, sigma=sigma, covariance=np.diag(sigma[0] ** 2)[None])

    np.testing.assert_allclose(joined.covariance, plain.covariance, rtol=1e-6, atol=1e-15)


def test_fixed_parameters_stay_and_have_no_error() -> None:
    fits = fit_decay(LAG, decay(LAG, 0.05, 0.2, 1.02, 1.0)[None], fixed={"baseline": 1.0, "alpha": 1.0})

    assert fits.baseline[0] == 1.0
    assert fits.baseline_error[0] == 0.0
    assert fits.relaxation_rate_error[0] > 0


def test_fixed_rate_lets_the_others_follow() -> None:
    fits = fit_decay(LAG, decay(LAG, 0.05, 0.2, 1.02, 1.2)[None], fixed={"relaxation_rate": 0.05})

    assert (fits.relaxation_rate[0], fits.relaxation_rate_error[0]) == (pytest.approx(0.05), 0.0)
    np.testing.assert_allclose([fits.beta[0], fits.baseline[0], fits.alpha[0]], [0.2, 1.02, 1.2], rtol=1e-6)


@given(st.floats(0.3, 0.9), st.floats(0.01, 0.2))
@settings(max_examples=15, deadline=None)
def test_fit_stays_within_its_bounds(highest_alpha: float, slowest: float) -> None:
    bounds = {"alpha": (0.25, highest_alpha), "relaxation_rate": (slowest, 3 * slowest)}
    fits = fit_decay(LAG, decay(LAG, 0.05, 0.2, 1.0, 1.0)[None], bounds=bounds)

    assert 0.25 <= fits.alpha[0] <= highest_alpha
    assert slowest * (1 - 1e-9) <= fits.relaxation_rate[0] <= 3 * slowest * (1 + 1e-9)


def test_parameter_on_a_bound_is_reported_and_not_trusted() -> None:
    fits = fit_decay(LAG, decay(LAG, 0.05, 0.2, 1.0, 1.0)[None], bounds={"beta": (0.0, 0.1)})

    assert fits.on_bound[0] == ("beta",)
    assert not fits.trusted[0]
    assert "beta ended on a bound" in fits.reason[0]
    assert np.isnan(fits.beta_error[0])


def test_incomplete_decay_is_said_in_words() -> None:
    fits = fit_decay(LAG, decay(LAG, 0.004, 0.2, 1.0, 1.0)[None])

    assert not fits.trusted[0]
    assert "the decay is incomplete within the measured lags" in fits.reason[0]


def test_decay_over_at_once_is_said_in_words() -> None:
    fits = fit_decay(LAG, decay(LAG, 1.2, 0.2, 1.0, 1.0)[None])

    assert "the decay is over before the second lag" in fits.reason[0]


def test_nan_are_left_out() -> None:
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0)[None].copy()
    g2[0, ::3] = np.nan

    np.testing.assert_allclose(fit_decay(LAG, g2).relaxation_rate, 0.05, rtol=1e-4)


def test_too_few_lags_give_an_untrusted_row_of_nan() -> None:
    fits = fit_decay(LAG[:4], np.ones((1, 4)))

    assert np.isnan(fits.relaxation_rate[0])
    assert not fits.trusted[0]
    assert fits.reason[0] == "only 4 lags have a value, too few for a fit"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="gamma is not a parameter of the decay"):
        fit_decay(LAG, np.ones((1, len(LAG))), fixed={"gamma": 1.0})
    with pytest.raises(ValueError, match=r"expected \(L,\) and \(M, L\)"):
        fit_decay(LAG, np.ones(len(LAG)))
    with pytest.raises(ValueError, match=r"bounds of beta are \(0\.5, 0\.1\), expected the first below the second"):
        fit_decay(LAG, np.ones((1, len(LAG))), bounds={"beta": (0.5, 0.1)})
    with pytest.raises(ValueError, match=r"bounds of relaxation_rate are \(0\.1, -1\)"):
        fit_decay(LAG, np.ones((1, len(LAG))), bounds={"relaxation_rate": (0.1, -1.0)})
    with pytest.raises(ValueError, match="lag must be finite, positive and rising"):
        fit_decay(LAG - 1, np.ones((1, len(LAG))))


def test_jacobian_is_the_derivative() -> None:
    x = np.array([np.log(0.05), 0.2, 1.0, 1.3])

    def curve(x: np.ndarray) -> np.ndarray:
        return decay(LAG, np.exp(x[0]), x[1], x[2], x[3])

    differences = [(curve(x + step) - curve(x - step)) / 2e-6 for step in 1e-6 * np.eye(4)]

    weights = np.linspace(1, 2, len(LAG))
    jacobian = np.empty((1, len(LAG), 4))
    normal = normal_matrices(np.log(LAG), x[None], weights[None], np.ones((1, 4), bool), jacobian)

    np.testing.assert_allclose(jacobian[0].T, differences, atol=1e-7)
    weighted = jacobian[0] * weights[:, None]
    np.testing.assert_allclose(normal[0], weighted.T @ weighted, rtol=1e-12)


def test_normal_matrix_leaves_out_what_is_fixed_or_unknown() -> None:
    x = np.array([[np.log(0.05), 0.2, 1.0, 1.3], [np.nan] * 4])
    inner = np.array([[True, False, True, True], [True] * 4])

    normal = normal_matrices(np.log(LAG), x, np.ones((2, len(LAG))), inner)

    assert (normal[0][[0, 2, 3]][:, [0, 2, 3]] != 0).all()
    assert (normal[0][1] == 0).all()
    assert (normal[0][:, 1] == 0).all()
    assert (normal[1] == 0).all()


def test_curves_shared_out_between_threads_fit_as_one_by_one() -> None:
    rng = np.random.default_rng(5)
    g2 = decay(LAG, 0.07, 0.3, 1.0, 1.2) + rng.normal(0, 0.02, (SHARED_OUT + 9, len(LAG)))

    together = fit_decay(LAG, g2)

    alone = [fit_decay(LAG, curve[None]) for curve in g2]
    np.testing.assert_array_equal(together.relaxation_rate, [one.relaxation_rate[0] for one in alone])
    np.testing.assert_array_equal(together.covariance, [one.covariance[0] for one in alone])


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_fit_is_worse_than_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.uniform(0.01, 0.3), rng.uniform(0.1, 1.0), rng.uniform(0.9, 1.2), rng.uniform(0.5, 2.0))
    g2 = decay(LAG, *truth) + rng.normal(0, rng.choice([1e-3, 0.05, 0.3]), len(LAG))

    fits = fit_decay(LAG, g2[None])

    low, high = (1e-4, 0.0, 0.2, 0.2), (2.0, 4.0, 2.5, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        peer, _ = curve_fit(decay, LAG, g2, p0=truth, bounds=(low, high), x_scale="jac", max_nfev=5000)
    peer_chi2 = np.sum((decay(LAG, *peer) - g2) ** 2) / (len(LAG) - 4)
    assert fits.chi2[0] <= peer_chi2 * (1 + 1e-3)
    assert "converge" not in fits.reason[0]


def test_many_curves_at_once_are_fitted_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0) + rng.normal(0, 0.01, (7, len(LAG)))
    g2[2, 10:30] = np.nan
    g2[4] = np.nan
    covariance = np.stack([np.diag(np.full(len(LAG), 1e-4))] * 7)

    together = fit_decay(LAG, g2, sigma=np.full_like(g2, 0.01), covariance=covariance)

    for number, one in enumerate(g2):
        alone = fit_decay(LAG, one[None], sigma=np.full((1, len(LAG)), 0.01), covariance=covariance[:1])
        np.testing.assert_allclose(together.covariance[number], alone.covariance[0], rtol=1e-9)
        assert together.reason[number] == alone.reason[0]
    assert together.reason[4] == "only 0 lags have a value, too few for a fit"


@pytest.mark.parametrize("lag", [[1, np.nan, 3], [0, 1, 2], [1, 1, 2], [1, 2, np.inf]])
def test_lags_that_are_none_are_refused(lag: list[float]) -> None:
    with pytest.raises(ValueError, match="finite, positive and rising"):
        fit_decay(np.array(lag), np.ones((1, 3)))


def test_diffusion_and_power_law_are_found_with_their_errors() -> None:
    q = np.linspace(0.002, 0.01, 8)
    rate = 3e6 * q**2
    found = fit_q_dependence(q, rate, 0.05 * rate, np.ones(8, bool))

    np.testing.assert_allclose(found.diffusion, 3e6)
    np.testing.assert_allclose(found.exponent, 2.0)
    np.testing.assert_allclose(found.diffusion_error / found.diffusion, 0.05 / np.sqrt(8), rtol=1e-6)


def test_too_few_rates_are_said_in_words() -> None:
    found = fit_q_dependence(np.ones(3), np.ones(3), np.ones(3), np.array([True, False, False]))

    assert np.isnan(found.diffusion)
    assert found.reason == "1 trusted rates are too few: D needs two, a power law three"


def test_changing_rate_is_not_stationary() -> None:
    age = np.arange(8)
    use = np.ones(8, bool)

    assert stationarity(age, 1 + 0.0 * age, np.full(8, 0.1), use).stationary
    assert stationarity(age, 1 + 0.3 * age, np.full(8, 0.1), use).stationary is False
    assert stationarity(age, age, np.ones(8), np.zeros(8, bool)).stationary is None


@pytest.mark.parametrize(("slope", "bend", "step"), [(0, 0, 0), (1.5, 0, 0), (0.5, 4, 0), (0, 0, 0.7), (0, 0, -0.7)])
def test_trend_over_age_follows_the_rates_and_says_how_well(slope: float, bend: float, step: float) -> None:
    age = np.linspace(0, 100, 12)
    x = (age - 50) / 100
    true = 5 * np.exp(slope * x + bend * x**2 + step * (x > 0))
    error = 0.05 * true
    rate = true + np.random.default_rng(4).normal(0, error)
    use = np.ones(12, bool)
    use[3], rate[3] = False, 1e6

    trend = rate_trend(age, rate, error, use)

    assert (np.abs(trend.rate - true) < 4 * trend.rate_error).all()
    assert (trend.rate_error < 0.08 * true).all()
    assert np.sqrt(np.mean((trend.rate / true - 1) ** 2)) < 0.04
    assert abs(trend.change - np.log(true[-1] / true[0])) < 4 * trend.change_error < 0.4
    assert (trend.constant > 0.5) == (slope == bend == step == 0)


def test_too_few_rates_have_no_trend() -> None:
    trend = rate_trend(np.arange(4.0), np.ones(4), np.ones(4), np.array([True, True, False, False]))

    assert np.isnan(trend.rate).all()
    assert np.isnan([trend.change, trend.constant]).all()


def test_many_ages_are_smoothed_as_few_are() -> None:
    age = np.linspace(0, 1, 200)
    true = np.exp(0.5 * age)
    rate = true * (1 + 0.2 * np.random.default_rng(1).normal(size=200))

    trend = rate_trend(age, rate, 0.2 * rate, np.ones(200, bool))

    assert np.abs(trend.rate / true - 1).max() < 0.08
    assert (np.abs(trend.rate - true) < 3.5 * trend.rate_error).all()


def test_one_covariance_and_its_growth_give_what_one_for_each_curve_gives() -> None:
    rng = np.random.default_rng(5)
    g2 = decay(LAG, 0.05, 0.2, 1.0, 1.0) + rng.normal(0, 0.01, (6, len(LAG)))
    root = rng.normal(0, 0.01, (len(LAG), len(LAG)))
    covariance, growth = root @ root.T, rng.uniform(1, 3, g2.shape)
    covariance[3], covariance[:, 3] = np.nan, np.nan
    growth[2, 40:] = np.nan
    each = covariance * growth[:, :, None] * growth[:, None, :]
    sigma = np.sqrt(np.diagonal(each, axis1=1, axis2=2))

    for errors in (sigma, None):
        together = fit_decay(LAG, g2, sigma=errors, covariance=covariance, growth=growth)
        apart = fit_decay(LAG, g2, sigma=errors, covariance=each)

        np.testing.assert_array_equal(together.relaxation_rate, apart.relaxation_rate)
        np.testing.assert_allclose(together.covariance, apart.covariance, rtol=1e-9, atol=1e-18)
    with pytest.raises(ValueError, match="growth has shape"):
        fit_decay(LAG, g2, covariance=each, growth=growth)


@pytest.mark.long
def test_process_that_compiles_fits_to_the_last_bit_as_those_that_find_machine_code(tmp_path: Path) -> None:
    script = (
        "import hashlib, numpy as np; from twotime.xpcs import decay, fit_decay;"
        "lag = np.arange(1, 46); rng = np.random.default_rng(1);"
        "g2 = np.stack([decay(lag, rate, 0.2, 1.0, 1.0) for rate in rng.uniform(0.01, 0.3, 2000)]);"
        "sigma = rng.uniform(0.02, 0.08, g2.shape);"
        "fits = fit_decay(lag, g2 + rng.normal(0, sigma), sigma=sigma);"
        "print(hashlib.sha256(np.stack([fits.relaxation_rate, fits.beta, fits.baseline, fits.alpha])).hexdigest())"
    )
    command, environment = [sys.executable, "-c", script], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    compiled, found = (subprocess.run(command, env=environment, check=True, capture_output=True) for _ in range(2))

    assert list(tmp_path.rglob("*.nbc"))
    assert compiled.stdout == found.stdout
