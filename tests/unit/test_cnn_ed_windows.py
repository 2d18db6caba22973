"""Denoising against a slow, literal reference of the Methods: the plain network, window by window, model by model."""

import numpy as np
import pytest
import torch

from cnn_ed import Ensemble
from cnn_ed.network import EncoderDecoder, EncoderDecoderStack
from cnn_ed.scaling import scaling_by_window
from cnn_ed.windows import with_lag_zero_redrawn
from twotime.xpcs import decay

MODELS = 3


@pytest.fixture(scope="module")
def stack() -> EncoderDecoderStack:
    stack = EncoderDecoderStack(MODELS)
    stack.initialise(range(MODELS))
    return stack


def measured(n_frames: int) -> np.ndarray:
    lag = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    noise = np.random.default_rng(n_frames).normal(0, 0.1, (n_frames, n_frames))
    return (decay(lag, 0.06, 0.2, 1.0, 1.0) + noise + noise.T).astype(np.float32)


def reference(c2: np.ndarray, networks: list[EncoderDecoder]) -> np.ndarray:
    """Values (K, N, N) as Konstantinova 2021, Methods, describe them; NaN where no window falls."""
    n_frames = len(c2)
    starts = list(range(0, n_frames - 49, 5))
    if starts[-1] != n_frames - 50:
        starts.append(n_frames - 50)
    results = []
    for network in networks:
        passes = []
        for order in (starts, starts[::-1]):
            result = np.full((n_frames, n_frames), np.nan)
            for start in order:
                own = slice(start, start + 50)
                # The draws for lag 0 follow from the last bit of the scaled values: scale as the ensemble does.
                scaling = scaling_by_window(c2[None, own, own])
                contrast = scaling.contrast[0]
                scaled = with_lag_zero_redrawn(scaling.to_network(c2[None, own, own]))
                with torch.inference_mode():
                    output = network(torch.from_numpy(scaled)).numpy()[0].astype(float)
                output = ((output + output.T) / 2 - 1) * contrast + 1
                before = result[own, own]
                result[own, own] = np.where(np.isnan(before), output, (before + output) / 2)
            passes.append(result)
        results.append((passes[0] + passes[1]) / 2)
    return np.array(results)


@pytest.mark.parametrize("n_frames", [50, 53, 55, 62, 97, 120])
def test_denoising_is_that_of_the_methods(stack: EncoderDecoderStack, n_frames: int) -> None:
    c2 = measured(n_frames)

    found = Ensemble.of_stack(stack).denoise(c2, whole=False)

    expected = reference(c2, [stack.plain(model) for model in range(MODELS)])
    covered = np.isfinite(expected[0])
    np.testing.assert_array_equal(found.mask, covered)
    np.testing.assert_allclose(found.values[covered], expected.mean(axis=0)[covered], atol=1e-6)
    np.testing.assert_allclose(found.spread[covered], expected.std(axis=0, ddof=1)[covered], atol=1e-6)
    members = [[np.nanmean(np.diagonal(own, lag)) for lag in range(1, 50)] for own in expected]
    np.testing.assert_allclose(found.g2_members, members, atol=1e-6)
    np.testing.assert_array_equal(found.values[~covered], c2[~covered])


def test_growing_two_time_computes_only_new_windows_and_comes_out_the_same(stack: EncoderDecoderStack) -> None:
    ensemble, c2, known = Ensemble.of_stack(stack), measured(140), {}
    for n_frames in (60, 83, 140):
        before = dict(known)

        grown = ensemble.denoise(c2[:n_frames, :n_frames], known=known, whole=False)

        whole = ensemble.denoise(c2[:n_frames, :n_frames], whole=False)
        np.testing.assert_allclose(grown.values, whole.values, atol=1e-6)
        np.testing.assert_allclose(grown.g2_members, whole.g2_members, atol=1e-6)
        assert all(known[start] is one for start, one in before.items())
    assert sorted(known) == sorted({*range(0, 91, 5), 33})


def test_known_windows_are_refused_where_they_would_change(stack: EncoderDecoderStack) -> None:
    with pytest.raises(ValueError, match="known is given with contrast 'global' and stride 1"):
        Ensemble.of_stack(stack).denoise(measured(60), contrast="global", known={})


def test_diagonal_of_a_window_is_drawn_from_its_own_lag_one() -> None:
    windows = np.random.default_rng(3).random((2, 50, 50)).astype(np.float32)

    redrawn = with_lag_zero_redrawn(windows)

    off = ~np.eye(50, dtype=bool)
    np.testing.assert_array_equal(redrawn[:, off], windows[:, off])
    for before, after in zip(windows, redrawn, strict=True):
        assert set(np.diagonal(after)) <= set(np.diagonal(before, 1))
        assert len(set(np.diagonal(after))) > 20
    np.testing.assert_array_equal(with_lag_zero_redrawn(windows[1:]), redrawn[1:])
