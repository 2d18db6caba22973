"""Pixels that fluctuate by themselves are found, and speckle is none of them."""

from typing import Any

import h5py
import numpy as np
import pytest

from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import FrameStatistics, Geometry, RoiPixels, find_bad_pixels, find_noisy_pixels, radius_map, ring_rois

GEOMETRY = Geometry(-60.0, 25.0, 5.0, 1.24, 75e-6, 0.01)
SHAPE = (50, 50)
N_FRAMES = 200
PLACES = np.arange(20, 2500, 250)


def speckle(n_frames: int = N_FRAMES, **given: Any) -> np.ndarray:
    model: dict[str, Any] = {"diffusion": 6e5, "contrast": 0.2, "mean_counts": 5.0, "seed": 3}
    return simulate_frames(SpeckleModel(SHAPE, GEOMETRY, **(model | given)), n_frames).reshape(n_frames, -1)


def found(counts: np.ndarray, bad: np.ndarray | None = None) -> list[int]:
    """Pixels that are noisy, where all of the detector is one ROI."""
    radius = radius_map(GEOMETRY, SHAPE).ravel()
    sound = np.zeros(len(counts), bool) if bad is None else bad
    return np.flatnonzero(find_noisy_pixels(counts, [np.arange(counts.shape[1])], radius, sound)).tolist()


def planted(counts: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Counts in which some pixels have other intensities, as factors (N, len(PLACES)) of what they were."""
    flawed = counts.copy()
    flawed[:, PLACES] = np.random.default_rng(5).poisson(counts[:, PLACES] * factor)
    return flawed


@pytest.mark.parametrize(
    ("contrast", "kind"), [(0.05, "flicker"), (0.2, "flicker"), (0.05, "switches"), (0.2, "bursts"), (0.05, "bursts")]
)
def test_pixels_that_flicker_are_found_and_no_others(contrast: float, kind: str) -> None:
    rng, shape = np.random.default_rng(2), (N_FRAMES, len(PLACES))
    factors = {
        "flicker": 2.0 * rng.integers(0, 2, shape),
        "switches": 2.0 * (np.cumsum(rng.random(shape) < 0.05, axis=0) % 2),
        "bursts": np.where(rng.random(shape) < 0.05, 10.0, 0.5),
    }

    noisy = found(planted(speckle(contrast=contrast, mean_counts=20.0), factors[kind]))

    assert noisy == PLACES.tolist()


def test_pixels_that_drift_are_found_and_no_others() -> None:
    drift = np.linspace(0, 2, N_FRAMES)[:, None] * np.ones(len(PLACES))

    assert found(planted(speckle(contrast=0.05, mean_counts=50.0), drift)) == PLACES.tolist()


@pytest.mark.parametrize(
    "sample",
    [
        {"diffusion": 1e-3, "contrast": 1.0, "baseline": 1.0},
        {"diffusion": 1e4, "contrast": 1.0},
        {"diffusion": 1e5, "contrast": 1.0, "alpha": 0.5},
        {"diffusion": 1e5, "contrast": 1.0, "alpha": 2.0, "mean_counts": 50.0},
        {"diffusion": 3e4, "contrast": 0.3, "baseline": 2.0, "mean_counts": 20.0},
        {"diffusion": 6e5, "contrast": 0.2, "ageing": 5.0},
        {"diffusion": 1e5, "contrast": 0.2, "mean_counts": 0.02},
    ],
    ids=["static", "slow", "stretched", "compressed", "static differences", "ageing", "few counts"],
)
@pytest.mark.parametrize("n_frames", [10, N_FRAMES])
def test_speckle_is_not_noisy(sample: dict[str, float], n_frames: int) -> None:
    assert found(speckle(n_frames, **sample)) == []


def test_few_pixels_that_move_among_static_ones_are_not_noisy() -> None:
    counts = speckle(contrast=1.0)
    static = np.arange(counts.shape[1]) % 20 < 17
    counts[:, static] = np.random.default_rng(1).poisson(counts[0, static], (N_FRAMES, np.count_nonzero(static)))

    assert found(counts) == []


def test_static_speckle_in_units_of_a_charge_integrating_detector_is_not_noisy() -> None:
    assert found(100 * speckle(diffusion=1e-3, contrast=1.0)) == []


def test_beam_loss_does_not_hide_noise_nor_make_it() -> None:
    flicker = 2.0 * np.random.default_rng(2).integers(0, 2, (N_FRAMES, len(PLACES)))
    counts = planted(speckle(), flicker)
    lost = np.arange(N_FRAMES) % 4 == 0
    counts[lost] = 0

    assert found(counts, lost) == PLACES.tolist()
    assert found(counts[~lost]) == PLACES.tolist()
    assert found(np.where(lost[:, None], 0, speckle()), lost) == []


def test_counts_of_any_type_give_the_same() -> None:
    counts = planted(speckle(), 2.0 * np.random.default_rng(2).integers(0, 2, (N_FRAMES, len(PLACES))))

    assert [found(counts.astype(kind)) for kind in (np.uint8, np.int32, np.float32)] == [found(counts)] * 3


def test_measured_speckle_is_not_noisy_but_bursts_planted_there_are(measured_data) -> None:
    with h5py.File(measured_data / "id10_maxipix_frames.h5") as file:
        frames = file["entry/data/data"][:]
    geometry = Geometry(131.79, 144.12, 2.230, 1.546, 55e-6, 1.30068e-3)
    radius = radius_map(geometry, (256, 256))
    statistics = FrameStatistics()
    statistics.accumulate(frames)
    edges = [(0.0004 * k, 0.0004 * (k + 1)) for k in range(4, 14)]
    pixels = RoiPixels(ring_rois(geometry, (256, 256), edges, "1/A", find_bad_pixels(statistics, radius)).labels)
    counts, rois = pixels.gather(frames), [np.arange(own.start, own.stop) for own in pixels.columns]
    sound = np.zeros(len(frames), bool)

    assert not find_noisy_pixels(counts, rois, radius.ravel()[pixels.indices], sound).any()
    bright = np.argsort(counts.sum(axis=0))[-2000::100]
    counts[::20, bright] *= 20
    noisy = find_noisy_pixels(counts, rois, radius.ravel()[pixels.indices], sound)
    assert sorted(np.flatnonzero(noisy)) == sorted(bright)
