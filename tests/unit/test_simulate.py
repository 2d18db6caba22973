"""Simulated speckle has the statistics and the dynamics it was asked for."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotime.export.tables import with_error
from twotime.simulate import Defects, EigerFile, SpeckleModel, read_frames_file, simulate_frames, with_defects
from twotime.simulate.speckle import mode_weights
from twotime.xpcs import Geometry, age_cuts, decay, fit_decay, one_time, pixel_covariance, two_time

GEOMETRY = Geometry(-2.0e5, 2000.0, 100.0, 1.0, 1e-6, 0.01)
"""One row of pixels far from the beam, all at practically the same q."""
Q = 4 * np.pi * np.sin(np.arctan(2e-3) / 2)


def row(n_frames: int, n_pixels: int = 4000, rate: float = 5.0, **changes: float) -> np.ndarray:
    model = SpeckleModel((1, n_pixels), GEOMETRY, rate / Q**2, **{"contrast": 0.2, "mean_counts": 1.0, **changes})
    return simulate_frames(model, n_frames).reshape(n_frames, n_pixels)


@pytest.mark.parametrize(("contrast", "mean_counts"), [(0.2, 0.5), (0.37, 2.0), (1.0, 1.0)])
def test_counts_are_negative_binomial(contrast: float, mean_counts: float) -> None:
    counts = row(40, rate=100.0, contrast=contrast, mean_counts=mean_counts).astype(float)

    assert counts.mean() == pytest.approx(mean_counts, rel=0.03)
    assert counts.var() == pytest.approx(mean_counts + contrast * mean_counts**2, rel=0.05)


@pytest.mark.parametrize(("alpha", "baseline"), [(0.7, 1.0), (1.0, 1.0), (1.5, 1.0), (1.0, 1.1)])
def test_two_time_correlation_follows_the_stretched_exponential(alpha: float, baseline: float) -> None:
    pixels = row(100, alpha=alpha, baseline=baseline, mean_counts=3.0)
    lag = np.arange(1, 60)

    g2 = one_time(two_time(pixels)).g2[:59]
    expected = decay(lag * 0.01, 5.0, 0.2, baseline, alpha)
    error = np.sqrt(np.diag(pixel_covariance(pixels, lag)))

    assert np.mean(np.abs(g2 - expected) < 3 * error) > 0.9
    assert np.abs(g2 - expected).max() < 0.02


def test_ageing_slows_the_later_frames() -> None:
    cuts = age_cuts(two_time(row(200, ageing=3.0, mean_counts=3.0)), 4, max_lag=60)
    fits = fit_decay(cuts.lag * 0.01, cuts.g2, fixed={"alpha": 1.0, "baseline": 1.0})
    expected = 5.0 / (1 + 3.0 * cuts.age * 0.01)

    np.testing.assert_allclose(fits.relaxation_rate, expected, rtol=0.25)


@given(st.floats(0.02, 1.0))
def test_mode_weights_give_the_contrast(contrast: float) -> None:
    weights = mode_weights(contrast)

    assert weights.sum() == pytest.approx(1)
    assert (weights**2).sum() == pytest.approx(contrast)
    assert (weights >= -1e-9).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contrast": 0.0}, "contrast is 0.0, expected above 0"),
        ({"baseline": 0.9}, "baseline is 0.9, expected 1 to 2"),
        ({"alpha": 2.5}, "alpha is 2.5, expected above 0 and at most 2"),
        ({"mean_counts": 0.0}, "mean_counts is 0.0, expected above 0"),
        ({"ageing": -1.0}, "ageing is -1.0, expected 0 or more"),
    ],
)
def test_impossible_models_are_refused(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SpeckleModel((4, 4), GEOMETRY, 1.0, **changes)


def test_the_same_seed_gives_the_same_frames() -> None:
    np.testing.assert_array_equal(row(5, 100), row(5, 100))
    assert not np.array_equal(row(5, 100), row(5, 100, seed=1))


def test_defects_are_where_they_were_asked_for() -> None:
    frames = np.full((10, 20, 20), 100, np.uint16)
    defects = Defects(gap_rows=((5, 7),), dead=3, hot=2, lost_frames=(4,), spike_frames=(6,))

    flawed = with_defects(frames, defects)
    outside = np.delete(flawed, [5, 6], axis=1)

    assert (flawed[:, 5:7] == 65535).all()
    assert (outside == 0).all(axis=0).sum() in (2, 3)
    assert outside[4].mean() < 0.2 * outside[0].mean()
    assert np.median(outside[6]) == 300
    assert (frames == 100).all()


def test_spike_of_a_bright_frame_stays_below_saturation() -> None:
    flawed = with_defects(np.full((2, 4, 4), 30000, np.uint16), Defects(spike_frames=(1,)))

    assert (flawed[1] == 65534).all()


def test_eiger_files_hold_the_frames_and_the_master_links_to_them(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 9, (25, 8, 6), dtype=np.uint16)
    file = EigerFile(tmp_path, "series", GEOMETRY, (8, 6), frames.dtype, frames_per_file=10)
    file.append(frames[:7])
    file.append(frames[7:])
    file.close()

    assert [path.name for path in file.paths] == [f"series_data_{k:06d}.h5" for k in (1, 2, 3)]
    with h5py.File(file.master) as master:
        parts = [master[f"entry/data/data_{k:06d}"][:] for k in (1, 2, 3)]
        assert master["entry/instrument/detector/detector_distance"][()] == 100.0
    np.testing.assert_array_equal(np.concatenate(parts), frames)


def test_measured_file_without_geometry_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["entry/data/data"] = np.zeros((2, 3, 3))

    with pytest.raises(ValueError, match="it needs the dataset entry/data/data and, as attributes of entry"):
        read_frames_file(tmp_path / "bare.h5")


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_numbers_show_the_digits_that_their_error_allows(value: float, error: float) -> None:
    shown, _, shown_error = with_error(value, error).partition(" ± ")

    assert float(shown_error) == pytest.approx(error, rel=0.06) or error >= 10
    assert abs(float(shown) - value) <= max(error / 2, abs(value) * 1e-3)
