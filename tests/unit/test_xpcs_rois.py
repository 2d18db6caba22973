"""Geometry, masks, ROIs, contrast and bad frames."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twotime.xpcs import (
    FrameStatistics,
    Geometry,
    RoiPixels,
    contrast_from_counts,
    find_bad_frames,
    find_bad_pixels,
    fit_decay,
    one_time,
    pixel_covariance,
    q_from_radius,
    q_map,
    radius_from_q,
    radius_map,
    ring_rois,
    two_time,
)

GEOMETRY = Geometry(20.5, 15.25, 5.0, 1.24, 75e-6, 0.01)
SHAPE = (48, 40)


def test_q_follows_the_scattering_angle() -> None:
    angle = np.arctan(np.hypot(3 - 20.5, 7 - 15.25) * 75e-6 / 5.0)

    assert q_map(GEOMETRY, SHAPE)[3, 7] == pytest.approx(4 * np.pi / 1.24 * np.sin(angle / 2))


@given(st.floats(0, 1e4))
def test_radius_from_q_is_the_way_back(radius: float) -> None:
    assert radius_from_q(GEOMETRY, q_from_radius(GEOMETRY, np.array(radius))) == pytest.approx(radius, abs=1e-6)


@pytest.mark.parametrize("name", ["distance_m", "wavelength_angstrom", "pixel_size_m", "frame_time_s"])
def test_impossible_geometry_is_refused(name: str) -> None:
    values = {"distance_m": 1.0, "wavelength_angstrom": 1.0, "pixel_size_m": 1.0, "frame_time_s": 1.0, name: -1.0}

    with pytest.raises(ValueError, match=f"{name} is -1.0, expected a positive number"):
        Geometry(0.0, 0.0, **values)


def test_rings_hold_their_inner_edge_and_not_their_outer() -> None:
    flat = Geometry(0.0, 0.0, 5.0, 1.24, 75e-6, 0.01)
    rois = ring_rois(flat, (1, 10), [(2.0, 5.0), (5.0, 7.0)], "pixel")

    np.testing.assert_array_equal(rois.labels[0], [0, 0, 1, 1, 1, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(rois.n_pixels, [3, 2])
    assert rois.q[0] == pytest.approx(q_from_radius(flat, np.array([2.0, 3.0, 4.0])).mean())


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ([(100.0, 110.0)], r"ring 1 \(100 to 110 pixels\) lies outside the detector"),
        ([(6.3, 6.3001)], "lies outside the detector or between its pixels"),
        ([(5.0, 9.0), (8.0, 12.0)], r"ring 2 \(8 to 12 pixels\) overlaps ring 1"),
    ],
)
def test_impossible_rings_are_refused(edges: list[tuple[float, float]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ring_rois(GEOMETRY, SHAPE, edges, "pixel")


def test_ring_under_the_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no pixel outside the mask"):
        ring_rois(GEOMETRY, SHAPE, [(5.0, 9.0)], "pixel", np.zeros(SHAPE, bool))


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
@settings(deadline=None)
def test_statistics_do_not_depend_on_the_blocks(lengths: list[int]) -> None:
    frames = np.random.default_rng(0).integers(0, 65536, (sum(lengths), 3, 4), dtype=np.uint16)
    parts, whole = FrameStatistics(), FrameStatistics()
    whole.accumulate(frames)
    for block in np.split(frames, np.cumsum(lengths)[:-1]):
        parts.accumulate(block)

    np.testing.assert_array_equal(parts.total, whole.total)
    np.testing.assert_array_equal(parts.maximum, whole.maximum)
    np.testing.assert_allclose(whole.mean, frames.mean(axis=0))


def test_counts_that_are_no_integers_keep_their_fractions() -> None:
    statistics = FrameStatistics()
    statistics.accumulate(np.full((4, 2, 2), 0.25, np.float32))

    np.testing.assert_array_equal(statistics.mean, 0.25)


def test_gaps_dead_hot_and_dark_pixels_are_found() -> None:
    frames = np.random.default_rng(0).poisson(3, (200, *SHAPE)).astype(np.uint16)
    frames[:, 2, 3] = 65535
    frames[:, 4, 5] = 0
    frames[:, 6, 7] = 60
    frames[50, 8, 9] = 900
    statistics = FrameStatistics()
    statistics.accumulate(frames)
    radius = radius_map(GEOMETRY, SHAPE)

    found = ~find_bad_pixels(statistics, radius)
    by_limits = ~find_bad_pixels(statistics, radius, from_data=False, hot_above_counts=100, dark_below_mean=0.3)

    assert sorted(zip(*np.nonzero(found), strict=True)) == [(2, 3), (4, 5), (6, 7), (8, 9)]
    assert sorted(zip(*np.nonzero(by_limits), strict=True)) == [(2, 3), (4, 5), (8, 9)]


def test_negative_counts_mark_gaps() -> None:
    frames = np.random.default_rng(0).poisson(3, (100, *SHAPE)).astype(np.int32)
    frames[:, 10:12] = -1
    frames[7, 20, 20] = -2
    statistics = FrameStatistics()
    for block in np.split(frames, 4):
        statistics.accumulate(block)

    good = find_bad_pixels(statistics, radius_map(GEOMETRY, SHAPE), from_data=False)

    np.testing.assert_array_equal(good, (frames >= 0).all(axis=0))
    assert statistics.mean.max() < 10


def test_pixels_are_gathered_by_roi_in_the_order_of_the_frame() -> None:
    labels = np.array([[2, 0, 1], [1, 2, 0]], np.int32)
    pixels = RoiPixels(labels)

    gathered = pixels.gather(np.arange(6).reshape(1, 2, 3))

    np.testing.assert_array_equal(gathered, [[2, 3, 0, 4]])
    assert pixels.columns == [slice(0, 2), slice(2, 4)]


def test_contrast_of_negative_binomial_counts_is_found_within_its_error() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(rng.gamma(5, 0.1 / 5, (400, 2000)))

    contrast, error = contrast_from_counts(counts)

    assert abs(contrast - 0.2) < 4 * error
    assert error < 0.05


def test_poisson_counts_have_no_contrast() -> None:
    contrast, error = contrast_from_counts(np.random.default_rng(3).poisson(0.5, (200, 2000)))

    assert abs(contrast) < 4 * error


def test_beam_loss_and_spikes_are_found_and_named() -> None:
    intensity = np.random.default_rng(0).normal(1000, 20, 200)
    intensity[40], intensity[90], intensity[130] = 0, 300, 2500

    bad, reasons = find_bad_frames(intensity)

    assert np.flatnonzero(bad).tolist() == [40, 90, 130]
    assert reasons[0] == "it holds no counts"
    assert reasons[1].startswith("beam loss")
    assert reasons[2].startswith("spike")


def test_slow_drift_is_not_bad() -> None:
    assert not find_bad_frames(np.linspace(1000, 500, 300))[0].any()


def test_ring_values_of_the_measured_frames(measured_data) -> None:
    with h5py.File(measured_data / "id10_maxipix_frames.h5") as file:
        frames = file["entry/data/data"][:]
    geometry = Geometry(131.79, 144.12, 2.230, 1.546, 55e-6, 1.30068e-3)
    statistics = FrameStatistics()
    statistics.accumulate(frames)
    mask = find_bad_pixels(
        statistics, radius_map(geometry, (256, 256)), from_data=False, hot_above_counts=200, dark_below_mean=0.3
    )
    edges = [(0.0018, 0.0022), (0.0022, 0.0026), (0.0026, 0.0030), (0.0030, 0.0034)]
    rois = ring_rois(geometry, (256, 256), edges, "1/A", mask)
    pixels = RoiPixels(rois.labels)
    gathered = pixels.gather(frames)

    curves = [one_time(two_time(gathered[:, own])).g2[:75] for own in pixels.columns]
    lag = np.arange(1, 76)
    covariance = np.stack([pixel_covariance(gathered[:, own], lag) for own in pixels.columns])
    sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    fits = fit_decay(lag * 1.30068e-3, np.stack(curves), sigma=sigma, covariance=covariance)

    np.testing.assert_array_equal(rois.n_pixels, [404, 513, 618, 713])
    np.testing.assert_allclose([curve[0] for curve in curves], [1.2585, 1.2645, 1.2592, 1.2141], atol=1e-4)
    assert all("the decay is incomplete" in reason for reason in fits.reason)
