"""The simulated temperature series of the demonstration, and the transition that is found in its counts."""

import numpy as np
import pytest

from twotime.cli.demo_frames import fit_transition
from twotime.simulate import TransitionModel


def test_satellite_is_there_below_the_transition_alone() -> None:
    model = TransitionModel()
    own = [model.satellite_share(one) for one in (0.0, 48.0, 96.0, 132.0)]
    cold, hot = model.rates()[[0, -1]]

    assert own == [1.0, 0.5, 0.0, 0.0]
    assert (cold - hot).sum() == pytest.approx(model.satellite_counts * (1 - 40 / 96), rel=1e-6)
    assert np.unravel_index((cold - hot).argmax(), model.shape) == model.satellite


def test_frames_are_counts_with_marked_gaps() -> None:
    model = TransitionModel()
    frames, rates = model.frames(), model.rates()

    assert frames.dtype == np.uint16
    assert (frames[:, ~model.usable] == 65535).all()
    counted, expected = frames[:, model.usable].sum(dtype=float), rates[:, model.usable].sum()
    assert abs(counted - expected) < 4 * np.sqrt(expected)


def test_transition_lies_within_its_error_of_the_truth_as_often_as_it_should() -> None:
    temperature = np.linspace(40, 132, 24)
    expected = 70 + 60 * np.maximum(0, 1 - temperature / 96)
    rng = np.random.default_rng(4)
    found = np.array([fit_transition(temperature, rng.poisson(expected).astype(float)) for _ in range(60)])

    deviation = np.abs(found[:, 0] - 96) / found[:, 1]
    assert 0.5 < np.mean(deviation < 1) < 0.85
    assert np.mean(deviation < 3) > 0.9
