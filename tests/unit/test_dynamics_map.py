"""The map of dynamics: a fixed plane of latent vectors, and scans that lie far from all earlier ones."""

import numpy as np
import pandas as pd
import pytest

from cnn_ed import Ensemble
from cnn_ed.latent_map import LatentMap
from twotime.series import ScanResult, dynamics_map, series, unlike_scans
from twotime.series.dynamics_map import FEWEST_SCANS
from twotime.simulate.speckle import mode_weights
from twotime.xpcs.correlate import two_time

RNG = np.random.default_rng(5)
N_FRAMES, N_PIXELS = 150, 1000


def scan(
    number: int,
    place: tuple[float, float],
    *,
    sample: str = "gel",
    scatter: float = 0.1,
    rois: int = 4,
    error: float = 0.0,
) -> ScanResult:
    """One scan, started at 1000 s times its number, whose ROIs scatter around a place."""
    fits = pd.DataFrame({"roi": np.arange(1, rois + 1), "q": 0.01 * np.arange(1, rois + 1), "phi": np.nan})
    for axis, name in enumerate(("map_x", "map_y")):
        fits[name] = place[axis] + scatter * RNG.normal(size=rois)
        fits[f"{name}_error"] = error
    for name in ("relaxation_rate", "beta", "baseline", "alpha"):
        fits[name] = fits[f"{name}_error"] = 1.0
    fits = fits.assign(headline="estimate", trusted=True, flag="")
    return ScanResult(f"analysis-{number}", f"run-{number}", number, sample, 1000.0 * number, fits)


def test_training_windows_lie_around_zero_with_unit_spread_and_places_do_not_depend_on_others() -> None:
    hidden = RNG.normal(size=(500, 2)) * (3, 1)
    latent = np.stack([hidden @ RNG.normal(size=(2, 4)) + 7 for _ in range(3)])  # (K, M, latent)
    found = LatentMap.of_plain(LatentMap.of_training(latent).plain())
    places = found.places(latent.transpose(1, 0, 2))

    assert places.mean(axis=0) == pytest.approx(0, abs=0.01)
    assert places.std(axis=0) == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(places.T)[0, 1]) < 0.05
    assert found.places(latent[:, 7:8].transpose(1, 0, 2))[0] == pytest.approx(places[7])
    assert np.isfinite(found.places(np.full((1, 3, 4), 1e9))).all()


def _place(rate: float, oscillation: float = 0.0, bad: slice = slice(0, 0)) -> tuple[np.ndarray, np.ndarray]:
    frame = np.arange(N_FRAMES)
    apart = np.abs(frame[:, None] - frame)
    field = np.exp(-rate * apart) * np.cos(oscillation * apart)
    factor = np.linalg.cholesky(field + 1e-6 * np.eye(N_FRAMES))
    intensity = np.zeros((N_FRAMES, N_PIXELS))
    for weight in mode_weights(0.2):
        for _ in ("real part", "imaginary part"):
            intensity += weight / 2 * (factor @ RNG.normal(size=(N_FRAMES, N_PIXELS))) ** 2
    out = np.zeros(N_FRAMES, bool)
    out[bad] = True
    denoised = Ensemble.load().denoise(two_time(RNG.poisson(intensity), bad=out), whole=False, rate_per_frame=rate)
    return denoised.place, denoised.place_error


def test_like_dynamics_lie_nearer_to_each_other_than_to_others() -> None:
    first, error = _place(0.05)
    again, _ = _place(0.05)
    static, _ = _place(1e-6)
    oscillating, _ = _place(0.03, oscillation=0.25)

    assert (error > 0).all()
    assert (error < 0.5).all()
    near = np.linalg.norm(first - again)
    assert near < 0.3 * np.linalg.norm(first - static)
    assert near < np.linalg.norm(first - oscillating)
    assert np.isnan(_place(0.05, bad=slice(0, N_FRAMES))[0]).all()


def test_scan_of_another_kind_stands_out_and_its_sentence_says_so() -> None:
    usual = [scan(k, (-0.4, -0.8)) for k in range(6)]

    assert unlike_scans(dynamics_map(series(usual))) == []
    found = dynamics_map(series([*usual, scan(6, (1.9, 2.2))]))
    assert found.scans["unlike"].tolist() == [False] * 6 + [True]
    (sentence,) = unlike_scans(found)
    assert sentence.startswith("Scan 6 is unlike the earlier scans of gel: on the map of dynamics its ROIs lie ")


def test_nothing_is_unlike_without_enough_to_compare_with() -> None:
    few = [scan(k, (-0.4, -0.8)) for k in range(FEWEST_SCANS - 1)]
    far = scan(9, (1.9, 2.2))

    assert not dynamics_map(series([*few, far])).scans["unlike"].any()
    assert not dynamics_map(series([*[scan(k, (-0.4, -0.8), rois=1) for k in range(6)], far])).scans["unlike"].any()
    assert dynamics_map(series([*few, far])).dots["distance"].isna().all()


def test_earlier_scans_are_those_of_the_same_sample_and_later_ones_do_not_count() -> None:
    gels = [scan(k, (-0.4, -0.8)) for k in range(6)]
    glasses = [scan(10 + k, (1.9, 2.2), sample="glass") for k in range(6)]

    assert not dynamics_map(series(gels + glasses)).scans["unlike"].any()
    late = [scan(20 + k, (-0.4, -0.8)) for k in range(6)]
    found = dynamics_map(series([scan(0, (1.9, 2.2)), *late])).scans
    assert not found["unlike"].any()


def test_an_uncertain_place_is_not_called_far() -> None:
    usual = [scan(k, (-0.4, -0.8)) for k in range(6)]

    assert not dynamics_map(series([*usual, scan(6, (0.4, -0.8), error=0.5)])).scans["unlike"].any()
    assert dynamics_map(series([*usual, scan(6, (0.4, -0.8), error=0.01)])).scans["unlike"].iloc[-1]


def test_rois_without_a_place_are_counted_and_left_out() -> None:
    old = scan(1, (-0.4, -0.8))
    del old.fits["map_x"], old.fits["map_y"]
    found = dynamics_map(series([old, scan(2, (-0.4, -0.8))]))

    assert (found.without_place, len(found.dots)) == (4, 4)
    nothing = dynamics_map(series([old]))
    assert (len(nothing.dots), len(nothing.scans), unlike_scans(nothing)) == (0, 0, [])
