"""Vibration and flow: found where they are, and not asked for where they are not."""

import numpy as np
import pytest

from twotime.xpcs import fit_variant
from twotime.xpcs.variants import NAMES, Variant, flowing_decay, vibrating_decay

LAG = np.arange(1, 200) * 0.01


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("vibration", (1.5, 0.3, 1.0, 1.2, 7.0, 0.2)),
        ("vibration", (4.0, 0.2, 1.02, 1.0, 21.3, 0.1)),
        ("flow", (0.3, 0.3, 1.0, 6.0)),
        ("flow", (1.0, 0.2, 1.01, 1.5)),
    ],
)
def test_parameters_come_out_within_their_errors(kind: Variant, truth: tuple[float, ...]) -> None:
    model = {"vibration": vibrating_decay, "flow": flowing_decay}[kind]
    sigma = np.full(len(LAG), 1e-3)
    pulls = []
    for seed in range(12):
        g2 = model(LAG, *truth) + np.random.default_rng(seed).normal(0, sigma)
        fit = fit_variant(kind, LAG, g2, sigma)
        assert fit.names == NAMES[kind]
        assert fit.reason == ""
        assert fit.chi2 == pytest.approx(1, abs=0.4)
        pulls.append((fit.values - truth) / fit.errors)

    assert 0.6 < np.std(pulls) < 1.4


@pytest.mark.parametrize("kind", ["vibration", "flow"])
def test_plain_decay_asks_for_neither(kind: Variant) -> None:
    sigma = np.full(len(LAG), 2e-3)
    g2 = 1 + 0.3 * np.exp(-2 * 2.0 * LAG) + np.random.default_rng(0).normal(0, sigma)

    reason = fit_variant(kind, LAG, g2, sigma).reason

    assert "does not ask for it" in reason or "ended on a bound" in reason


def test_lags_that_err_together_widen_the_errors() -> None:
    truth = (1.5, 0.3, 1.0, 1.2, 7.0, 0.2)
    sigma = np.full(len(LAG), 1e-3)
    g2 = vibrating_decay(LAG, *truth)
    together = 1e-6 * np.exp(-np.abs(np.subtract.outer(LAG, LAG)) / 0.1)

    apart = fit_variant("vibration", LAG, g2, sigma)
    joined = fit_variant("vibration", LAG, g2, sigma, covariance=together)

    assert joined.errors[0] > 1.5 * apart.errors[0]


def test_too_few_lags_and_wrong_arguments_are_said() -> None:
    assert "too few lags" in fit_variant("flow", LAG[:4], np.ones(4)).reason
    with pytest.raises(ValueError, match="kind is 'drift', expected one of vibration, flow"):
        fit_variant("drift", LAG, np.ones(len(LAG)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected one"):
        fit_variant("flow", LAG, np.ones(3))
