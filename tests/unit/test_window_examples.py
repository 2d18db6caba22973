"""Examples for the networks of windows: curves that belong to their truths, the same ones under the same seed."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cnn_ed.dataset import Examples
from cnn_ed.posterior.measured import LAG, WindowCurves, parameters_in_units, window_features
from cnn_ed.posterior.window_examples import SYNTHETIC, WindowExamples
from twotime.xpcs import decay

WINDOWS = 16
RATES = (0.02, 0.05, 0.1)
SIZE = 50


def two_time_decay(rate: float, alpha: float) -> NDArray[np.float64]:
    lag = np.abs(np.arange(SIZE)[:, None] - np.arange(SIZE))
    return np.asarray(decay(lag, rate, 1.0, 1.0, alpha))


@pytest.fixture(scope="module")
def measured() -> Examples:
    """Three measurements of one decay each, whose windows differ by next to nothing."""
    rng = np.random.default_rng(3)
    upper = np.triu_indices(SIZE)
    inputs = [
        two_time_decay(rate, 1.2)[upper] + 1e-4 * rng.normal(size=len(upper[0]))
        for rate in RATES
        for _ in range(WINDOWS)
    ]
    target = np.repeat(np.arange(len(RATES)), WINDOWS)
    all_inputs = np.array(inputs, np.float32)
    return Examples(
        inputs=all_inputs,
        targets=np.array([all_inputs[target == one].mean(axis=0) for one in range(len(RATES))]),
        target_index=target.astype(np.int32),
        position=np.tile(np.arange(WINDOWS), len(RATES)).astype(np.int32),
        experiment=np.array(["a", "b", "c"]),
        frame_stride=np.ones(len(RATES), np.int32),
    )


def test_every_curve_drawn_decays_as_its_truth_says(measured: Examples) -> None:
    torch.manual_seed(1)

    features, _, truth = WindowExamples(measured).draw(400)

    log_rate, log_beta, baseline, log_alpha = truth.double().numpy().T
    curves = decay(
        LAG, *(part[:, None] for part in (np.exp(log_rate), np.exp(log_beta), 1 + baseline, np.exp(log_alpha)))
    )
    expected = window_features(torch.from_numpy(curves), torch.ones(len(curves)))
    np.testing.assert_allclose(features[:, :-1], expected[:, :-1], atol=2e-3)


def test_measured_decays_are_drawn_as_they_are_and_near_that(measured: Examples) -> None:
    torch.manual_seed(1)

    _, _, truth = WindowExamples(measured).draw(1000)

    of_measured = truth[: round(1000 * (1 - SYNTHETIC)), 0].exp().numpy()
    as_they_are = np.min(np.abs(of_measured[:, None] / np.array(RATES) - 1), axis=1) < 0.01
    assert 0.25 < as_they_are.mean() < 0.45  # Three in ten, and some of the nearby ones.
    assert of_measured.min() < 0.8 * min(RATES)
    assert of_measured.max() > 1.2 * max(RATES)


def test_draws_repeat_under_the_same_seed(measured: Examples) -> None:
    examples = WindowExamples(measured)
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append(examples.draw(50))

    for first, second in zip(*drawn, strict=True):
        assert torch.equal(first, second)


def test_windows_of_one_decay_have_its_curve() -> None:
    windows = np.stack([two_time_decay(rate, 0.8) for rate in RATES])

    curves = WindowCurves.of(windows)

    np.testing.assert_allclose(curves.g2, [decay(LAG, rate, 1.0, 1.0, 0.8) for rate in RATES], atol=1e-6)


def test_parameters_beyond_all_bounds_stay_finite() -> None:
    units = parameters_in_units(torch.tensor([[0.0, 0.0, 50.0, 0.0], [1e9, 1e9, -50.0, 1e9]]))

    assert torch.isfinite(units).all()
