"""Two-time correlation functions lose digits of noise and their mirror image, nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twotime.results import colour_range, grey
from twotime.xpcs import mirrored, two_time
from twotime.xpcs.compact import LARGEST_ERROR, noise_of, rounded, rounded_error, step_within, upper

FINITE = st.floats(-1e3, 1e3, width=32)


def measured(n=300, pixels=2000, seed=3):
    return two_time(np.random.default_rng(seed).poisson(0.5, (n, pixels)).astype(np.uint8))


def test_noise_of_counts_is_that_of_independent_frames():
    c2 = measured()
    off_diagonal = c2[np.triu_indices(len(c2), 1)]
    assert 0.7 < noise_of(c2) / off_diagonal.std() < 1.05


def test_noise_is_that_of_the_frames_with_most_counts():
    counts = np.random.default_rng(5).poisson(np.where(np.arange(400) < 200, 0.1, 1.0)[:, None], (400, 2000))
    c2 = two_time(counts.astype(np.uint8))
    bright = c2[200:, 200:][np.triu_indices(200, 1)]
    assert noise_of(c2) < 1.1 * bright.std()


def test_bad_frames_do_not_hide_the_noise():
    c2 = measured()
    c2[40:50], c2[:, 40:50] = np.nan, np.nan
    assert noise_of(c2) == pytest.approx(noise_of(measured()), rel=0.1)


@pytest.mark.parametrize("c2", [np.ones((1, 1)), np.full((50, 50), np.nan), np.zeros((0, 0))])
def test_noise_of_nothing_is_unknown_and_rounds_nothing(c2):
    assert np.isnan(noise_of(c2))
    assert step_within(noise_of(c2)) == 0


def test_function_without_noise_is_not_rounded():
    assert step_within(noise_of(np.ones((50, 50)))) == 0


@given(st.floats(1e-30, 1e30))
def test_step_is_the_largest_power_of_two_within_the_error(error):
    step = float(step_within(error))
    largest = np.float32(error) * np.float32(LARGEST_ERROR * 12**0.5)
    assert np.log2(step) == np.rint(np.log2(step))
    assert step <= largest < 2 * step


@given(arrays(np.float32, (4, 4), elements=FINITE), st.integers(-12, 4))
def test_rounding_is_off_by_half_a_step_at_most_and_repeats(values, exponent):
    step = np.float32(2.0**exponent)
    once = rounded(values, step)
    assert (np.abs(once - values) <= step / 2).all()
    assert np.array_equal(rounded(once, step), once)


@given(arrays(np.float32, 20, elements=st.floats(np.float32(1e-30), np.float32(1e30), width=32)))
def test_standard_errors_are_right_within_a_sixteenth(error):
    assert (np.abs(rounded_error(error) / error - 1) <= 1 / 16).all()


@given(arrays(np.float32, (6, 6), elements=st.one_of(FINITE, st.just(float("nan")))))
def test_half_of_a_symmetric_function_is_the_whole(values):
    whole = np.triu(values) + np.triu(values, 1).T
    assert np.array_equal(mirrored(upper(whole)), whole, equal_nan=True)
    assert np.array_equal(mirrored(upper(np.stack([whole, whole])))[1], whole, equal_nan=True)


def test_parts_know_where_the_diagonal_is():
    whole = upper(np.ones((5, 7), np.float32))
    assert np.array_equal(upper(np.ones((2, 3), np.float32), 2, 1), whole[2:4, 1:4], equal_nan=True)


def test_greys_of_a_noisy_picture_are_coarse_but_finer_than_the_noise():
    c2 = measured()
    low, high = colour_range(c2)
    fine, coarse = grey(c2, low, high), grey(c2, low, high, noise_of(c2))
    assert len(np.unique(coarse)) < len(np.unique(fine)) / 4
    noise = noise_of(c2) / (high - low) * 255
    assert np.abs(coarse.astype(float) - fine).max() <= 0.7 * noise + 1
    assert coarse.min() == 0
