"""The two-time correlation function and its averages."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import (
    Geometry,
    TwoTimeAccumulator,
    age_cuts,
    one_time,
    one_time_covariance,
    pixel_covariance,
    two_time,
    two_time_route,
)
from twotime.xpcs.products import Frames, int8_is_exact

COUNTS = hnp.arrays(
    np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12), elements=st.integers(1, 5000)
)


def plain_two_time(pixels: np.ndarray) -> np.ndarray:
    """The formula of pyCHX's auto_two_Arrayc in float64."""
    values = pixels.astype(float)
    mean = values.mean(axis=1)
    return values @ values.T / values.shape[1] / np.outer(mean, mean)


def speckle_row(n_frames: int, n_pixels: int, rate: float, seed: int, mean_counts: float = 1.0) -> np.ndarray:
    geometry = Geometry(-2.0e5, n_pixels / 2, 100.0, 1.0, 1e-6, 1.0)
    q = 4 * np.pi * np.sin(np.arctan(2e-3) / 2)
    model = SpeckleModel((1, n_pixels), geometry, rate / q**2, 0.2, mean_counts=mean_counts, seed=seed)
    return simulate_frames(model, n_frames).reshape(n_frames, n_pixels)


@given(COUNTS)
@settings(deadline=None)
def test_equals_the_plain_formula(pixels: np.ndarray) -> None:
    np.testing.assert_allclose(two_time(pixels), plain_two_time(pixels), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_equals_the_plain_formula_for_many_pixels_of_every_type(dtype: type) -> None:
    pixels = np.random.default_rng(1).poisson(40, (30, 20000)).astype(dtype)

    assert np.abs(two_time(pixels) - plain_two_time(pixels)).max() < 1e-6


@given(COUNTS)
@settings(deadline=None)
def test_symmetric_and_the_same_whatever_the_order_of_pixels(pixels: np.ndarray) -> None:
    whole = two_time(pixels)

    np.testing.assert_array_equal(whole, whole.T)
    shuffled = pixels[:, np.random.default_rng(0).permutation(pixels.shape[1])]
    np.testing.assert_allclose(two_time(shuffled), whole, rtol=2e-6, atol=2e-6)


@given(COUNTS)
@settings(deadline=None)
def test_time_reversal_turns_the_two_time_function_round(pixels: np.ndarray) -> None:
    np.testing.assert_allclose(two_time(pixels[::-1]), two_time(pixels)[::-1, ::-1], rtol=2e-6, atol=2e-6)


@given(COUNTS, st.lists(st.integers(1, 7), min_size=1, max_size=6), st.booleans())
@settings(deadline=None)
def test_growing_in_blocks_ends_where_all_frames_at_once_do(
    pixels: np.ndarray, lengths: list[int], divided: bool
) -> None:
    flat = np.linspace(0.5, 2.0, pixels.shape[1]) if divided else None
    growing = TwoTimeAccumulator(pixels.shape[1], flat=flat)
    first = 0
    for length in (*lengths, len(pixels)):
        growing.add(pixels[first : first + length])
        first += length

    assert growing.n_frames == len(pixels)
    np.testing.assert_allclose(growing.two_time(), two_time(pixels, flat=flat), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("largest", "route"), [(1, "int8"), (127, "int8"), (128, "float32"), (16383, "float32"), (16384, "float32")]
)
def test_every_route_is_that_of_float64(largest: int, route: str) -> None:
    pixels = np.random.default_rng(largest).integers(0, largest + 1, (1100, 300)).astype(np.uint16)

    taken = two_time_route(pixels)
    if not int8_is_exact():
        route = "float32"
    assert taken in (route, "int8 in two digits")
    assert np.abs(two_time(pixels) - plain_two_time(pixels)).max() < 1e-6
    digits = Frames(pixels, "int8 in two digits", pixels.mean(axis=1))
    if int8_is_exact() and largest < 128**2:
        np.testing.assert_allclose(digits.times(digits), plain_two_time(pixels), rtol=2e-7)


def test_events_are_correlated_as_dense_counts_are() -> None:
    pixels = np.random.default_rng(2).poisson(0.005, (200, 3000)).astype(np.uint8)
    events = sp.csr_array(pixels)

    assert two_time_route(events) == "sparse"
    np.testing.assert_allclose(two_time(events), two_time(pixels), rtol=1e-6)
    many = sp.csr_array(np.random.default_rng(2).poisson(0.5, (60, 300)).astype(np.uint8))
    assert two_time_route(many) != "sparse"
    np.testing.assert_allclose(two_time(many), two_time(many.toarray()), rtol=1e-6)


def test_static_image_and_flux_divide_as_the_formula_says() -> None:
    rng = np.random.default_rng(3)
    pixels, flat, flux = rng.poisson(5.0, (40, 60)), rng.uniform(0.5, 2, 60), rng.uniform(0.5, 2, 40)

    divided = pixels / flat
    np.testing.assert_allclose(two_time(pixels, flat=flat), plain_two_time(divided), rtol=2e-6)
    mean = (pixels.mean(axis=1) / flux).mean()
    expected = pixels @ pixels.T / 60 / np.outer(flux, flux) / mean**2
    np.testing.assert_allclose(two_time(pixels, flux=flux), expected, rtol=2e-6)
    brighter = two_time(pixels * rng.integers(1, 4, 40)[:, None], flat=flat)
    np.testing.assert_allclose(brighter, two_time(pixels, flat=flat), rtol=2e-6)


def test_counts_divided_by_their_own_time_mean_are_biased_as_published() -> None:
    """The trap in the name: each pixel's own mean holds a share of each frame, which takes 1 / (N K) from C2 - 1."""
    rng = np.random.default_rng(4)
    n_frames, mean = 20, 0.5
    pixels = rng.poisson(mean, (n_frames, 200_000))
    own = np.maximum(pixels.mean(axis=0), 1 / n_frames)

    off = ~np.eye(n_frames, dtype=bool)
    honest, biased = two_time(pixels)[off].mean() - 1, two_time(pixels, flat=own)[off].mean() - 1
    assert abs(honest) < 2e-3
    assert biased < -0.5 / (n_frames * mean)


def test_wrong_static_image_or_flux_is_refused() -> None:
    pixels = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"flat has shape \(4,\), expected \(3,\)"):
        two_time(pixels, flat=np.ones(4))
    with pytest.raises(ValueError, match="flux holds numbers that are not positive"):
        two_time(pixels, flux=np.array([1.0, 0.0, 1.0, 1.0]))


@given(COUNTS, st.integers(2, 9))
@settings(deadline=None)
def test_brighter_frames_change_nothing(pixels: np.ndarray, factor: int) -> None:
    brighter = pixels.astype(np.uint32)
    brighter[0] *= factor

    np.testing.assert_allclose(two_time(brighter), two_time(pixels), rtol=2e-6, atol=2e-6)


def test_frame_without_counts_gives_nan_row() -> None:
    pixels = np.ones((4, 3), int)
    pixels[2] = 0

    missing = np.isnan(two_time(pixels))

    assert missing[2].all()
    assert missing[:, 2].all()
    assert missing.sum() == 7


def test_bad_frame_gives_nan_row() -> None:
    bad = np.array([False, True, False])

    assert np.isnan(two_time(np.ones((3, 5)), bad=bad))[1].all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pixels has shape \(3,\)"):
        two_time(np.ones(3))
    with pytest.raises(ValueError, match=r"bad has shape \(2,\), expected \(3,\)"):
        two_time(np.ones((3, 5)), bad=np.zeros(2, bool))


def test_negative_counts_are_refused_with_the_number() -> None:
    pixels = np.ones((4, 3), np.int32)
    pixels[1, 2] = -1

    with pytest.raises(ValueError, match="pixels holds -1, expected counts of 0 or more"):
        two_time(pixels)
    with pytest.raises(ValueError, match="pixels holds -1, expected counts of 0 or more"):
        two_time(sp.csr_array(pixels))


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4), (5,)])
def test_one_time_of_something_not_square_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"c2 has shape .*, expected \(\.\.\., N, N\)"):
        one_time(np.ones(shape))


def test_largest_counts_and_dim_frames_lose_no_precision() -> None:
    rng = np.random.default_rng(5)
    for pixels in (
        rng.integers(0, 2**32, (20, 3000), dtype=np.uint32),
        (2**32 - 1 - rng.integers(0, 1000, (20, 3000))).astype(np.uint32),
        rng.integers(0, 2**8, (20, 3000), dtype=np.uint8),
        rng.poisson(0.02, (20, 30000)).astype(np.uint16),
    ):
        np.testing.assert_allclose(two_time(pixels), plain_two_time(pixels), rtol=1e-6, atol=1e-6)


def test_one_time_is_the_mean_along_the_diagonals_without_nan() -> None:
    c2 = np.random.default_rng(2).random((3, 20, 20))
    c2[:, 7] = c2[:, :, 7] = np.nan

    g2, error = one_time(c2)

    assert g2.shape == error.shape == (3, 19)
    np.testing.assert_allclose(g2[1, 4], np.nanmean(np.diagonal(c2[1], 5)))
    np.testing.assert_array_equal(one_time(c2).lag, np.arange(1, 20))


def test_last_lag_has_a_value_and_no_error() -> None:
    g2, error = one_time(np.ones((5, 5)))

    assert g2[-1] == 1
    assert np.isnan(error[-1])


def test_diagonal_without_values_is_nan() -> None:
    c2 = np.ones((8, 8))
    c2[1::2] = c2[:, 1::2] = np.nan

    np.testing.assert_array_equal(one_time(c2).g2, [np.nan, 1, np.nan, 1, np.nan, 1, np.nan])


def test_error_of_values_without_likeness_is_their_standard_error() -> None:
    c2 = np.random.default_rng(8).normal(1.0, 0.3, (400, 400))

    # The largest over blocks of any length lies some percent above that of single values.
    claimed = one_time(c2).error[:200] / (0.3 / np.sqrt(400 - np.arange(1, 201)))
    assert 1.0 < np.median(claimed) < 1.3


def test_error_allows_for_likeness_of_neighbours() -> None:
    c2 = two_time(speckle_row(300, 400, 0.02, seed=3))
    scatter = np.std(np.diagonal(c2, 1), ddof=1) / np.sqrt(299)

    assert one_time(c2).error[0] > 1.5 * scatter


def test_pixel_covariance_is_the_scatter_over_repeated_scans() -> None:
    lag = np.array([1, 5, 20, 50])
    scans = [speckle_row(100, 400, 0.05, seed) for seed in range(60)]
    curves = np.array([one_time(two_time(pixels)).g2[lag - 1] for pixels in scans])

    claimed = np.mean([pixel_covariance(pixels, lag) for pixels in scans], axis=0)

    np.testing.assert_allclose(np.sqrt(np.diag(claimed)), curves.std(axis=0, ddof=1), rtol=0.35)
    assert claimed[0, 1] > 0


def test_covariance_over_age_is_symmetric_and_positive() -> None:
    covariance = one_time_covariance(two_time(speckle_row(120, 300, 0.05, 1)), np.arange(1, 30))

    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12


def test_covariance_over_age_is_the_jackknife_of_the_textbook() -> None:
    c2 = np.random.default_rng(6).random((40, 40))
    lag, blocks = np.array([1, 7, 20]), 5

    left_out = np.empty((blocks, len(lag)))
    for column, own in enumerate(lag):
        diagonal = np.diagonal(c2, own)
        for block in range(blocks):
            left_out[block, column] = diagonal[np.arange(len(diagonal)) * blocks // len(diagonal) != block].mean()

    # Efron 1982: the variance is (n - 1) / n times the sum of squares, that is (n - 1)^2 / n times the usual variance.
    expected = (blocks - 1) ** 2 / blocks * np.cov(left_out, rowvar=False, ddof=1)
    np.testing.assert_allclose(one_time_covariance(c2, lag, blocks), expected)


def test_age_cuts_follow_ageing() -> None:
    time = np.arange(100)
    lag = np.abs(time[:, None] - time)
    age = (time[:, None] + time) / 2
    cuts = age_cuts(1 + 0.2 * np.exp(-2 * lag * 0.1 / (1 + age / 20)), 5, max_lag=20)

    assert cuts.g2.shape == (5, 20)
    np.testing.assert_allclose(cuts.age, [10, 30, 50, 70, 90])
    assert (np.diff(cuts.g2[:, 9]) > 0).all()


def test_age_cuts_of_a_constant_are_constant() -> None:
    cuts = age_cuts(np.full((30, 30), 1.5), 3)

    # Age 9.5 lies in the first third and holds lag 19; the last begins at age 20, which holds lag 18.
    assert np.isfinite(cuts.g2).sum(axis=1).tolist() == [19, 29, 18]
    assert np.nanmin(cuts.g2) == np.nanmax(cuts.g2) == 1.5
    assert np.nanmax(cuts.error) == 0


def test_impossible_number_of_age_cuts_is_refused() -> None:
    with pytest.raises(ValueError, match="number is 0, expected 1 to 10 age cuts"):
        age_cuts(np.ones((10, 10)), 0)
