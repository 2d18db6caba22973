"""Scans like that of ``twotime demo``, but for the detector's defects: are the rates right, and as often as they claim?

    python tests/benchmarks/demo_seeds.py 20

Prints, over all rings of so many seeds from 100 on, the share of rates within one and two standard errors of the truth
and the deviations, for the estimate and for the raw and denoised fits.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from cnn_ed import Ensemble
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.recipe import DenoiseOptions, FitOptions
from twotime.simulate.demo import N_FRAMES, RINGS, demo_model
from twotime.simulate.speckle import SpeckleModel, simulate_frames
from twotime.xpcs.geometry import q_from_radius, radius_map

FIRST_SEED = 100


def rings(model: SpeckleModel) -> list[tuple[float, NDArray[np.bool_]]]:
    """Momentum transfer (1/Å) and mask (H, W) of each ring."""
    radius = radius_map(model.geometry, model.shape)
    found = []
    for number in range(int(RINGS["num_rings"])):
        inner = RINGS["inner_radius"] + number * RINGS["spacing"]
        middle = inner + RINGS["width"] / 2
        inside = (radius >= inner) & (radius < inner + RINGS["width"])
        found.append((float(q_from_radius(model.geometry, np.array([middle]))[0]), inside))
    return found


def deviations(result: RoiResult, truth: float) -> list[tuple[float, float]]:
    """Relative deviation of the rate, and the same in standard errors, of estimate, raw and denoised fit."""
    found = []
    for fits in (result.estimates, result.raw.fits, None if result.denoised is None else result.denoised.fits):
        rate, error = (np.nan, np.nan) if fits is None else (fits.relaxation_rate[0], fits.relaxation_rate_error[0])
        found.append((rate / truth - 1, (rate - truth) / error))
    return found


def main(seeds: int) -> None:
    ensemble = Ensemble.load()
    table = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        model = demo_model(seed)
        frames = simulate_frames(model, N_FRAMES)
        for q, inside in rings(model):
            result = analyse_roi(
                frames[:, inside],
                np.zeros(N_FRAMES, bool),
                model.geometry.frame_time_s,
                DenoiseOptions(),
                FitOptions(),
                ensemble,
            )
            table.append(deviations(result, float(model.rate(q))))
    found = np.array(table)
    print(f"{seeds} scans, {len(found)} rings")
    for number, kind in enumerate(("estimate", "raw", "denoised")):
        relative, sigmas = found[:, number, 0], np.abs(found[:, number, 1])
        print(
            f"{kind:>9}: within 1 error {np.mean(sigmas < 1):.0%}, 1.96 {np.mean(sigmas < 1.96):.0%}, "
            f"median {np.nanmedian(relative):+.1%}, mean of log {np.nanmean(np.log1p(relative)):+.1%}, "
            f"mean size {np.nanmean(np.abs(relative)):.1%}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
