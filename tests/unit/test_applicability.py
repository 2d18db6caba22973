"""What the denoiser must say it does not know, and how large it says its errors are."""

from pathlib import Path

import numpy as np
import pytest

from cnn_ed import Ensemble
from cnn_ed.calibrate import HeldOut, calibrate, coverage
from cnn_ed.dataset import full_windows, load_examples
from cnn_ed.evaluate import flagged, honest_truths
from cnn_ed.uncertainty import PARAMETERS, Calibration
from twotime.xpcs import decay, fit_decay

N_FRAMES = 300
LAG = np.abs(np.subtract.outer(np.arange(N_FRAMES), np.arange(N_FRAMES)))
AGE = np.add.outer(np.arange(N_FRAMES), np.arange(N_FRAMES)) / 2


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


def noisy(shape: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """A 2TCF of contrast 0.2 from its shape at contrast 1."""
    random = np.random.default_rng(seed).normal(0, noise / np.sqrt(2), shape.shape)
    return (1 + 0.2 * (shape - 1 + random + random.T)).astype(np.float32)


@pytest.mark.parametrize("noise", [0.3, 1.4])
@pytest.mark.parametrize(("rate", "alpha"), [(0.02, 1.0), (0.05, 1.0), (0.05, 0.7), (0.1, 1.5)])
def test_equilibrium_decays_are_trusted(ensemble: Ensemble, rate: float, alpha: float, noise: float) -> None:
    found = ensemble.denoise(noisy(decay(LAG, rate, 1.0, 1.0, alpha), noise, seed=1))

    assert found.applicability.reasons == ()


SHAPES = {
    "oscillating": 1 + np.exp(-0.02 * LAG) * np.cos(2 * np.pi * LAG / 20) ** 2,
    "static": np.full(LAG.shape, 2.0),
    "half static": decay(LAG, 0.05, 0.5, 1.5, 1.0),
    "slowing down": 1 + np.exp(-2 * LAG * 0.15 * np.exp(-AGE / 100)),
    "ageing as 1 / t": 1 + np.exp(-2 * LAG * 2 / (10 + AGE)),
    "faster and faster": 1 + np.exp(-2 * LAG * 0.15 * np.exp((AGE - N_FRAMES) / 100)),
}


@pytest.mark.parametrize("noise", [0.3, 1.4])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_equilibrium_decay_is_flagged(ensemble: Ensemble, shape: str, noise: float) -> None:
    for seed in range(3):
        assert not ensemble.denoise(noisy(SHAPES[shape], noise, seed)).applicability.trusted


def test_ageing_is_said_in_words(ensemble: Ensemble) -> None:
    found = ensemble.denoise(noisy(SHAPES["slowing down"], 0.3, 1))

    assert "the rate changes with age, from 0.0" in "; ".join(found.applicability.reasons)


def test_more_windows_mend_the_noise_but_not_what_is_systematic() -> None:
    calibration = Calibration(
        noise={name: [np.log(0.3), 0.0, 0.0, 0.0, 0.0] for name in PARAMETERS},
        systematic={name: [np.log(0.1), 0.0] for name in PARAMETERS},
    )
    known = (np.array([0.05]), np.array([1.0]), np.full((1, 4), 0.1))

    np.testing.assert_allclose(calibration.errors(*known, windows=1), np.hypot(0.3, 0.1))
    np.testing.assert_allclose(calibration.errors(*known, windows=9), np.hypot(0.1, 0.1))
    np.testing.assert_allclose(calibration.errors(*known, windows=1e9), 0.1, rtol=1e-6)


def test_calibration_finds_noise_and_systematic_deviations_again() -> None:
    rng = np.random.default_rng(2)
    held = [_held_out(rng) for _ in range(5)]

    calibration = calibrate(held)

    shares = coverage(held, calibration)
    assert shares["all"]["68"] == pytest.approx(0.68, abs=0.05)
    assert shares["all"]["95"] == pytest.approx(0.95, abs=0.03)
    known = (np.array([0.05]), np.array([1.0]), np.full((1, 4), 0.1))
    assert calibration.errors(*known, windows=1e9)[0, 0] == pytest.approx(0.15, rel=0.3)
    assert calibration.noise_errors(*known, windows=1)[0, 0] == pytest.approx(0.2, rel=0.3)


def _held_out(rng: np.random.Generator, targets: int = 60, windows: int = 20) -> HeldOut:
    """Fits that miss their truth by 15 % for all windows of a target, and by 20 % for each."""
    target = np.repeat(np.arange(targets), windows)
    lag = np.arange(1, 50)
    truth = fit_decay(lag, decay(lag, 0.05, 1.0, 1.0, 1.0)[None]).rows(np.zeros(len(target), int))
    deviation = 0.15 * rng.normal(size=targets)[target] + 0.2 * rng.normal(size=len(target))
    fitted = truth.rows(slice(None))
    truth.relaxation_rate[:] *= rng.uniform(0.5, 2.0, targets)[target]
    fitted.relaxation_rate[:] = truth.relaxation_rate / (1 + np.maximum(deviation, -0.9))
    noise = rng.uniform(0.5, 2.0, len(target))
    return HeldOut(target, noise, rng.uniform(0.05, 0.2, (len(target), 4)), fitted, truth)


def test_few_good_measured_windows_are_flagged(ensemble: Ensemble, measured_data: Path) -> None:
    validation = load_examples(measured_data / "cnn_ed_validation.npz")
    own = validation.of_targets(np.arange(len(validation.targets)) % 4 == 0)
    truths = honest_truths(own)

    assert flagged(ensemble, full_windows(own.inputs[truths.example], 50).numpy())["any"] < 0.05
