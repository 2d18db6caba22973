"""How the evaluation measures: errors by hand, rivals, and what averaging raw windows brings."""

import numpy as np
import pytest

from cnn_ed.dataset import Examples
from cnn_ed.evaluate import LAG, errors_of, honest_truths
from cnn_ed.gain import frames_saved
from cnn_ed.rivals import compare, total_variation
from twotime.export.training import losses_table
from twotime.xpcs import decay, fit_decay

ROWS, COLUMNS = np.triu_indices(50)


def measured(targets: int = 4, windows: int = 39, noise: float = 0.5) -> Examples:
    """Windows of decays with white noise; each target an experiment of its own."""
    rng = np.random.default_rng(3)
    rates = np.linspace(0.04, 0.08, targets)
    clean = np.stack([decay(COLUMNS - ROWS, rate, 1.0, 1.0, 1.0) for rate in rates]).astype(np.float32)
    index = np.repeat(np.arange(targets, dtype=np.int32), windows)
    inputs = clean[index] + rng.normal(0, noise, (len(index), len(ROWS))).astype(np.float32)
    means = np.stack([inputs[index == target].mean(axis=0) for target in range(targets)])
    position = np.tile(np.arange(windows, dtype=np.int32), targets)
    names = np.array([f"experiment {target}" for target in range(targets)])
    return Examples(inputs, means, index, position, names, np.ones(targets, np.int32))


def test_errors_are_those_computed_by_hand() -> None:
    truth = fit_decay(LAG, decay(LAG, 0.05, 1.0, 1.0, 1.0)[None]).rows(np.zeros(2, int))
    fits = truth.rows(slice(None))
    fits.relaxation_rate[:] = truth.relaxation_rate * np.array([1.1, 0.7])
    fits.beta[:] = truth.beta + np.array([0.1, 0.3])
    g2 = np.ones((2, 49))

    found = errors_of(g2 + np.array([[0.2], [0.4]]), fits, g2, truth)

    assert found["one_time_mse"] == pytest.approx((0.04 + 0.16) / 2)
    assert found["rate_mean_relative_error"] == pytest.approx(0.2)
    assert found["rate_median_relative_error"] == pytest.approx(0.2)
    assert found["beta_mse"] == pytest.approx((0.01 + 0.09) / 2)
    assert found["alpha_mse"] == 0
    assert found["not_converged"] == 0
    assert found["on_bound"] == 0


def test_total_variation_flattens_noise_and_keeps_steps() -> None:
    step = np.ones((1, 40, 40), np.float32)
    step[:, :, 20:] = 3
    noisy = step + np.random.default_rng(1).normal(0, 0.3, step.shape).astype(np.float32)

    found = total_variation(noisy, 1.0)

    assert np.std(found[:, :, 2:18]) < 0.2 * np.std(noisy[:, :, 2:18])
    assert found[:, :, 22:].mean() - found[:, :, :18].mean() == pytest.approx(2, abs=0.2)
    np.testing.assert_allclose(total_variation(np.full((1, 9, 9), 2, np.float32), 1.0), 2, rtol=1e-6)


def test_every_rival_lowers_the_error_of_the_curve_or_fits_the_raw_one() -> None:
    examples = measured(targets=2, windows=20)
    truths = honest_truths(examples)

    found = compare(examples, truths)

    raw = found.pop("weighted fit of the raw curve")
    assert set(found) == {"principal components", "Gaussian filter", "median filter", "total variation"}
    assert found["principal components"]["one_time_mse"] < raw["one_time_mse"]
    assert all(own["strength"] > 0 for own in found.values())


def test_averaging_raw_windows_lowers_the_error_until_it_meets_the_denoised_one() -> None:
    examples = measured(targets=3)
    averages = np.stack([(lag == COLUMNS - ROWS) / np.count_nonzero(lag == COLUMNS - ROWS) for lag in LAG])
    raw = examples.inputs @ averages.T
    # As good as three windows: the mean of a window and the two after it.
    as_three = np.stack([raw[np.minimum(np.arange(k, k + 6, 2), len(raw) - 1)].mean(axis=0) for k in range(len(raw))])

    found = frames_saved(examples, raw, as_three)

    errors = [row["median"] for row in found["raw"].values()]
    assert errors[0] > errors[2] > errors[-1]
    assert 1.5 < found["windows_median"] < 6


def test_losses_are_one_row_for_each_epoch_and_model() -> None:
    row = {"training_cost": [1.0, 2.0], "validation_cost": [3.0, 4.0], "validation_one_time": [5.0, 6.0]}

    table = losses_table([{"epoch": 1, "model": [0, 1], **row}, {"epoch": 2, "model": [0, 1], **row}])

    assert table["epoch"].tolist() == [1, 1, 2, 2]
    assert table["model"].tolist() == [0, 1, 0, 1]
    assert table["validation_cost"].tolist() == [3.0, 4.0, 3.0, 4.0]
