"""Profiles along a line are means of the pixels that lie on it."""

import numpy as np
import pytest

from frame_denoiser import line_profile

SHAPE = (20, 30)
COUNTS = np.random.default_rng(1).poisson(3, SHAPE)
RATE = np.add.outer(np.arange(20.0), 100 * np.arange(30.0))
ERROR = np.full(SHAPE, 0.25)
MASK = np.ones(SHAPE, np.bool_)


def test_horizontal_line_takes_the_pixels_of_its_row() -> None:
    found = line_profile(COUNTS, RATE, ERROR, MASK, (4, 2), (4, 12))

    np.testing.assert_array_equal(found.distance, np.arange(11))
    np.testing.assert_array_equal(found.raw, COUNTS[4, 2:13])
    np.testing.assert_array_equal(found.rate, RATE[4, 2:13])
    np.testing.assert_allclose(found.raw_error, np.sqrt(np.maximum(COUNTS[4, 2:13], 1)))
    np.testing.assert_allclose(found.rate_error, 0.25)


def test_width_averages_across_the_line_and_counting_bounds_the_error() -> None:
    found = line_profile(COUNTS, RATE, 5 * ERROR, MASK, (2, 7), (17, 7), width=5)

    own = COUNTS[2:18, 5:10]
    np.testing.assert_array_equal(found.n_pixels, 5)
    np.testing.assert_allclose(found.raw, own.mean(axis=1))
    np.testing.assert_allclose(found.raw_error, np.sqrt(own.sum(axis=1)) / 5)
    np.testing.assert_allclose(found.rate_error, np.minimum(1.25, np.sqrt(own.sum(axis=1)) / 5))


def test_diagonal_has_a_point_for_each_pixel_of_its_length() -> None:
    found = line_profile(COUNTS, RATE, ERROR, MASK, (0, 0), (12, 9))

    assert len(found.distance) == 16
    assert (found.row[-1], found.column[-1], found.distance[-1]) == (12, 9, 15)
    rows, columns = np.rint(found.row).astype(int), np.rint(found.column).astype(int)
    np.testing.assert_array_equal(found.rate, RATE[rows, columns])


def test_masked_pixels_give_a_rate_but_no_counts() -> None:
    mask = MASK.copy()
    mask[4, 5:7] = False
    found = line_profile(COUNTS, RATE, ERROR, mask, (4, 2), (4, 12))

    assert np.flatnonzero(np.isnan(found.raw)).tolist() == [3, 4]
    assert found.n_pixels[3] == 0
    assert np.isfinite(found.rate).all()
    assert found.rate_error[3] == 0.25


@pytest.mark.parametrize("ends", [((-0.5, -0.5), (19.5, 29.5)), ((19.5, 29.5), (-0.5, 29.5))])
def test_line_on_the_outer_edge_stays_within_the_frame(ends: tuple[tuple[float, float], tuple[float, float]]) -> None:
    for width in (1, 4):
        found = line_profile(COUNTS, RATE, ERROR, MASK, *ends, width)
        assert np.isfinite(found.raw).all()


@pytest.mark.parametrize(
    ("start", "stop", "width", "sentence"),
    [
        ((-1, 0), (3, 3), 1, r"start is \(-1, 0\), expected a point within 20 x 30 pixels"),
        ((0, 0), (3, 30), 1, r"stop is \(3, 30\), expected a point"),
        ((2, 2), (2, 2), 1, "two different points"),
        ((2, 2), (4, 2), 0, "width is 0, expected at least 1"),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(
    start: tuple[float, float], stop: tuple[float, float], width: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        line_profile(COUNTS, RATE, ERROR, MASK, start, stop, width)
