"""One-time correlation functions at constant age, cut from the published two-time functions."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.api import schemas
from twotime.api.content.summary import dynamics, estimate
from twotime.api.content.table_responses import number
from twotime.recipe import DECAY_PARAMETERS
from twotime.xpcs import age_cuts
from twotime.xpcs.decay import decay


def age_cut(
    c2: dict[str, NDArray[Any]], g2: pd.DataFrame, ages: pd.DataFrame, age_s: float, width: float | None
) -> schemas.AgeCut:
    """The fitted cut nearest to an age, with its curves and fits.

    Parameters
    ----------
    c2 : (N, N) arrays ``raw`` and, where it was denoised, ``denoised``
    g2, ages : rows of one ROI of the tables `g2` and `fits_age`; there is at least one age
    age_s : wanted, s
    width : of each cut, frames; None: they touch

    Notes
    -----
    The error is that of the curve of the whole scan, grown by the share of pairs that the cut holds, as in the fits.
    """
    nearest = int((ages["age_s"] - age_s).abs().to_numpy().argmin())
    fits = ages.iloc[nearest].to_dict()
    n_frames = len(c2["raw"])
    frame_time_s = fits["age_s"] / fits["age_frames"]
    half = (n_frames / len(ages) if width is None else min(width, n_frames)) / 2
    columns: dict[str, list[float | None]] = {}
    estimated = estimate(fits)
    if estimated is not None:
        lag_s = g2["lag_s"].to_numpy(float)
        model = decay(lag_s, *(float(fits[f"estimate_{name}"]) for name in DECAY_PARAMETERS))
        columns["g2_estimate"] = [number(one) for one in model]
    for kind in ("raw", "denoised"):
        g2_of_cut, error = _curve(c2.get(kind), g2, kind, len(ages), nearest, 2 * half)
        fitted = decay(g2["lag_s"].to_numpy(float), *(float(fits[f"{kind}_{name}"]) for name in DECAY_PARAMETERS))
        for name, values in (("", g2_of_cut), ("_error", error), ("_fit", fitted)):
            columns[f"g2_{kind}{name}"] = [number(one) for one in values]
    return schemas.AgeCut(
        roi=int(fits["roi"]),
        age_s=fits["age_s"],
        first_age_s=max(0.0, fits["age_frames"] - half) * frame_time_s,
        last_age_s=min(float(n_frames), fits["age_frames"] + half) * frame_time_s,
        lag_s=[float(one) for one in g2["lag_s"]],
        estimate=estimated,
        raw=dynamics(fits, "raw"),
        denoised=dynamics(fits, "denoised") if "denoised" in c2 else None,
        **columns,
    )


def _curve(
    c2: NDArray[Any] | None, g2: pd.DataFrame, kind: str, n_ages: int, which: int, width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """g2 and its error at the lags of the whole curve; NaN for lags without a value."""
    whole_error = g2[f"g2_{kind}_error"].to_numpy(float)
    if c2 is None:
        return np.full(len(g2), np.nan), np.full(len(g2), np.nan)
    lag = g2["lag_frames"].to_numpy(int)
    cuts = age_cuts(c2, n_ages, width=width, max_lag=int(lag.max()))
    pairs = cuts.pairs[which, lag - 1].astype(float)
    whole_pairs = age_cuts(c2, 1, max_lag=int(lag.max())).pairs[0, lag - 1]
    growth = np.sqrt(np.divide(whole_pairs, pairs, out=np.full(len(lag), np.nan), where=pairs > 0))
    known = np.isfinite(g2[f"g2_{kind}"].to_numpy(float))
    return np.where(known, cuts.g2[which, lag - 1], np.nan), whole_error * growth
