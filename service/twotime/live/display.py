"""Small arrays and numbers for the screen, of the same size for every scan."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.catalog.results.live_scans import G2_QUANTITIES
from twotime.live.growing_analysis import Grown
from twotime.live.growing_frames import NewestFrame
from twotime.pipeline.planning import roi_rows
from twotime.pipeline.tables import fits_table, g2_table, q_fit_table
from twotime.results import shrink

CELLS = 200
LAGS = 100
FRAME_EDGE = 400
DENOISED_EDGE = 600


def shown_arrays(grown: Grown) -> dict[str, NDArray[np.float32]]:
    """Arrays for the screen; `twotime.catalog.results.live_scans.ARRAYS` names them and their axes."""
    arrays = {
        "two_time": _cells([result.c2 for result in grown.results]),
        "g2": _g2(grown),
        "intensity": _means(grown.reading.intensity.T),
        "mean_frame": shrink(grown.reading.mean_frame, FRAME_EDGE)[0],
    }
    denoised = [None if one.denoised_c2 is None else one.denoised_c2.values for one in grown.results]
    if any(one is not None for one in denoised):
        nothing = np.full((1, 1), np.nan, np.float32)
        arrays["two_time_denoised"] = _cells([nothing if one is None else one for one in denoised])
    return arrays


def shown_numbers(grown: Grown) -> dict[str, Any]:
    """Numbers for the screen: fits with errors, ROIs, number of frames."""
    plan, reading = grown.plan, grown.reading
    fits = fits_table(reading, grown.results, plan.frame_time_s)
    q_fit = q_fit_table(reading.rois, grown.results)
    n = len(reading.bad)
    return {
        "fits": fits.drop(columns=[name for name in fits.columns if "_covariance_" in str(name)]).to_dict("records"),
        "q_fit": q_fit.to_dict("records"),
        "rois": roi_rows(reading.rois),
        "frame_time_s": plan.frame_time_s,
        "n_shown": n,
        "frames_per_cell": max(1, -(-n // CELLS)),
        "bad_frames": int(np.count_nonzero(reading.bad)),
        "warnings": grown.warnings[:20],
    }


def denoised_arrays(newest: NewestFrame) -> dict[str, NDArray[np.float32]]:
    """The newest denoised frame for the screen, averaged to `DENOISED_EDGE`; raw counts are NaN where masked."""
    found = newest.denoised
    images = {
        "frame_raw": np.where(newest.mask, found.counts, np.nan),
        "frame_rate": found.rate,
        "frame_error": found.error,
        "frame_residual": found.residual,
    }
    return {name: shrink(image, DENOISED_EDGE)[0] for name, image in images.items()}


def denoised_numbers(newest: NewestFrame) -> dict[str, Any]:
    """Numbers for the screen: tables of frames, regions and peaks, and which frame it is."""
    plan, unlike = newest.plan, newest.denoised.unlike[0]
    return {
        "tables": {name: table.to_dict("records") for name, table in newest.tables.items()},
        "newest": newest.place.columns(),
        "frame_shape": list(newest.mask.shape),
        "frame_step": shrink(newest.mask, DENOISED_EDGE)[1],
        "frame_time_s": plan.frame_time_s,
        "n_shown": newest.place.frame + 1,
        "warnings": [*plan.warnings, *unlike][:20],
    }


def _cells(two_times: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Averages over square cells on a grid of `CELLS` x `CELLS`, NaN beyond the last frame; the shape never changes."""
    cells = np.full((len(two_times), CELLS, CELLS), np.nan, np.float32)
    for roi, c2 in enumerate(two_times):
        small, _ = shrink(c2, CELLS)
        cells[roi, : len(small), : len(small)] = small
    return cells


def _means(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over neighbouring frames, (R, CELLS), padded with NaN."""
    step = max(1, -(-intensity.shape[1] // CELLS))
    starts = np.arange(0, intensity.shape[1], step)
    lengths = np.diff([*starts, intensity.shape[1]])
    means = np.full((len(intensity), CELLS), np.nan, np.float32)
    means[:, : len(starts)] = np.add.reduceat(intensity, starts, axis=1) / lengths
    return means


def _g2(grown: Grown) -> NDArray[np.float32]:
    """Curves, (R, quantities, LAGS), at logarithmically spaced lags, padded with NaN."""
    table = g2_table(grown.reading.rois, grown.results, grown.plan.frame_time_s)
    curves = np.full((len(grown.results), len(G2_QUANTITIES), LAGS), np.nan, np.float32)
    for roi, (_, rows) in enumerate(table.groupby("roi", sort=True)):
        chosen = _spread(rows)
        curves[roi, :, : len(chosen)] = chosen[list(G2_QUANTITIES)].to_numpy(float).T
    return curves


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    if len(rows) <= LAGS:
        return rows
    places = np.unique(np.rint(np.geomspace(1, len(rows), LAGS)).astype(int) - 1)
    return rows.iloc[places]
