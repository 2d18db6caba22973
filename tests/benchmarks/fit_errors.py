"""How honest three kinds of error of Γ are: standard deviation of (fitted - true) / error, which should be 1.

    python tests/benchmarks/fit_errors.py [REALISATIONS]

Speckle fields with known dynamics are simulated, counted, correlated and fitted. Not a test: it takes minutes.
"""

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry, fit_decay, one_time, one_time_covariance, pixel_covariance, two_time

CASES = ((250, 0.07, 0.18, 0.1), (250, 0.02, 0.18, 0.5), (300, 0.03, 0.2, 2.0))
"""Frames, rate per frame, contrast, mean counts."""
WIDTH = 1000


def pulls(n_frames: int, rate: float, contrast: float, mean_counts: float, realisations: int) -> dict[str, float]:
    """Standard deviation of the pulls of Γ for each kind of error."""
    # One row of pixels far from the beam: all have practically the same q.
    geometry = Geometry(-2.0e5, WIDTH / 2, 100.0, 1.0, 1e-6, 1.0)
    q = 4 * np.pi * np.sin(np.arctan(2e5 * 1e-6 / 100.0) / 2)
    found: dict[str, list[float]] = {"along the diagonal": [], "jackknife over age": [], "over the ROI": []}
    for seed in range(realisations):
        model = SpeckleModel((1, WIDTH), geometry, rate / q**2, contrast, mean_counts=mean_counts, seed=seed)
        pixels = simulate_frames(model, n_frames).reshape(n_frames, -1)
        c2 = two_time(pixels)
        lag = np.arange(1, int(0.75 * n_frames))
        g2 = one_time(c2).g2[None, : len(lag)]
        scatter = np.array([np.diagonal(c2, k).std(ddof=1) / np.sqrt(n_frames - k) for k in lag])[None]
        over_age, over_roi = one_time_covariance(c2, lag), pixel_covariance(pixels, lag)
        for name, sigma, covariance in (
            ("along the diagonal", scatter, None),
            ("jackknife over age", scatter, over_age[None]),
            ("over the ROI", np.sqrt(np.diag(over_roi))[None], over_roi[None]),
        ):
            fits = fit_decay(lag, g2, sigma=sigma, covariance=covariance)
            if fits.trusted[0]:
                found[name].append(float((fits.relaxation_rate[0] - rate) / fits.relaxation_rate_error[0]))
    return {name: float(np.std(values)) for name, values in found.items()}


def main() -> None:
    """Print one row per case."""
    realisations = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    table = Table("frames", "Γ per frame", "counts", "along the diagonal", "jackknife over age", "over the ROI")
    for case in CASES:
        values = pulls(*case, realisations)
        table.add_row(str(case[0]), f"{case[1]:g}", f"{case[3]:g}", *(f"{value:.2f}" for value in values.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
