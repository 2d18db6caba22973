"""Pictures, scales and down-sampling of two-time correlation functions."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from twotime.api.content.png import frame_png, scale, two_time_figure, two_time_png
from twotime.results import shrink

GREY = 0x8A / 255


def two_time(n_frames: int = 40) -> np.ndarray:
    lag = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    values = (1 + 0.2 * np.exp(-0.1 * lag)).astype(np.float32)
    np.fill_diagonal(values, 5.0)
    return values


@given(edge=st.integers(1, 60), size=st.integers(1, 60))
def test_shrunk_picture_fits_and_keeps_the_mean_of_whole_blocks(edge: int, size: int) -> None:
    values = np.arange(edge * edge, dtype=float).reshape(edge, edge)
    small, step = shrink(values, size)
    assert max(small.shape) <= size
    assert small.shape == (-(-edge // step),) * 2
    assert small[0, 0] == pytest.approx(values[:step, :step].mean())


def test_shrinking_leaves_nan_only_where_a_whole_block_is_missing() -> None:
    values = np.ones((4, 4))
    values[0, 0] = np.nan
    values[2:, 2:] = np.nan
    small, step = shrink(values, 2)
    assert step == 2
    assert np.isnan(small).tolist() == [[False, False], [False, True]]


def test_scale_ignores_the_lag_zero_diagonal() -> None:
    low, high = scale(two_time(), "raw")
    assert 1.0 < low < high < 1.2


def test_scale_of_the_difference_is_symmetric_and_that_of_the_spread_starts_at_zero() -> None:
    low, high = scale(two_time() - 1.1, "difference")
    assert low == -high
    assert scale(two_time(), "spread")[0] == 0.0


def test_scale_of_nothing_but_nan_is_still_a_scale() -> None:
    assert scale(np.full((5, 5), np.nan), "raw") == (0.0, 1.0)


def test_first_frame_is_at_the_lower_left_and_missing_frames_are_grey() -> None:
    values = two_time()
    values[39] = values[:, 39] = np.nan
    picture = imread(BytesIO(two_time_png(values, "raw", 1.0, 1.2, 40)), format="png")
    assert picture.shape == (40, 40, 4)
    np.testing.assert_allclose(picture[0, :, :3], GREY, atol=1 / 255)
    assert picture[39, 0, 0] > 0.9, "lag 0 of the first frame is the brightest yellow"


def test_small_picture_grows_to_the_size_asked_for() -> None:
    picture = imread(BytesIO(two_time_png(two_time(), "raw", 1.0, 1.2, 100)), format="png")
    assert picture.shape[:2] == (100, 100)


def test_picture_with_axes_and_mean_frame_are_png() -> None:
    figure = two_time_figure(two_time(), "denoised", 1.0, 1.2, 400, 0.001, "scan 1")
    labels = np.zeros((30, 20), int)
    labels[10:20, 5:15] = 1
    frame = imread(BytesIO(frame_png(np.full((30, 20), 2.0), labels, 64)), format="png")
    assert figure.startswith(b"\x89PNG")
    assert frame[10, 7, :3].tolist() == [1, 1, 1]
