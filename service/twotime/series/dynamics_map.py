"""ROIs of many scans on one plane: like dynamics lie near each other, and a scan unlike all earlier ones stands out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.columns import PLACE
from twotime.series.table import Series

FEWEST_SCANS, FEWEST_DOTS = 3, 10
"""Earlier scans of a sample, and ROIs of these, without which nothing is called unlike them."""
UNLIKE = 4.0
"""Usual distances beyond which a scan is unlike the earlier ones; see `tests/benchmarks/dynamics_map.py`."""


@dataclass(frozen=True)
class DynamicsMap:
    """What the map shows.

    Attributes
    ----------
    dots : one row per scan and ROI that has a place, by time: columns of `Series.rows`; sample, time and rate_change of
        the scan, with its error; distance from the nearest ROI of earlier scans of the sample, in usual distances, NaN
        where these are too few
    scans : one row per scan, by time: analysis_id, scan_id, sample, time, n_dots, distance (median over its ROIs),
        unlike
    without_place : ROIs that have none: they were not denoised, or by an older version
    """

    dots: pd.DataFrame
    scans: pd.DataFrame
    without_place: int


def dynamics_map(found: Series) -> DynamicsMap:
    """Put the ROIs of a series on the map of dynamics.

    Notes
    -----
    The usual distance is the median, over the ROIs of the earlier scans of the sample, of that from the nearest ROI of
    another of these scans; the standard error of a place adds to it. The places themselves do not depend on what else
    is shown (see `cnn_ed.latent_map`).
    """
    of_scans = found.scans[["analysis_id", "sample", "time", "rate_change", "rate_change_error"]]
    rows = found.rows.merge(of_scans, on="analysis_id", how="left", validate="many_to_one")
    has_place = rows[[*PLACE]].notna().all(axis=1)
    dots = rows[has_place].sort_values(["time", "analysis_id", "roi"], kind="stable", ignore_index=True)
    dots["distance"] = np.nan
    for _, own in dots.groupby(dots["sample"].fillna("")):
        dots.loc[own.index, "distance"] = _distances(own)
    scans = dots.groupby("analysis_id", sort=False).agg(
        scan_id=("scan_id", "first"),
        sample=("sample", "first"),
        time=("time", "first"),
        n_dots=("roi", "size"),
        distance=("distance", "median"),
    )
    scans["unlike"] = scans["distance"] > UNLIKE
    return DynamicsMap(dots, scans.reset_index(), int((~has_place).sum()))


def unlike_scans(found: DynamicsMap) -> list[str]:
    """One sentence for each scan that is unlike the earlier ones of its sample."""
    unlike = found.scans[found.scans["unlike"]]
    return [
        f"{f'Analysis {one_id}' if pd.isna(scan_id) else f'Scan {scan_id}'} is unlike the earlier scans of "
        f"{sample or 'runs without a sample'}: on the map of dynamics its ROIs lie {distance:.2g} times the usual "
        "distance from theirs."
        for one_id, scan_id, sample, distance in zip(
            *(unlike[name] for name in ("analysis_id", "scan_id", "sample", "distance")), strict=True
        )
    ]


def _distances(dots: pd.DataFrame) -> NDArray[np.float64]:
    """Distance (M,) of the ROIs of one sample, by time, from the earlier ones, in usual distances."""
    places = dots[[*PLACE]].to_numpy(float)
    error = np.hypot(*dots[[f"{name}_error" for name in PLACE]].fillna(0.0).to_numpy(float).T)
    number = pd.factorize(dots["analysis_id"])[0]
    found = np.full(len(dots), np.nan)
    nearest = np.full(len(dots), np.inf)  # Of each earlier ROI, the nearest one of another scan that was earlier, too.
    for scan in range(number.max(initial=-1) + 1):
        own, earlier = np.flatnonzero(number == scan), np.flatnonzero(number < scan)
        away = np.linalg.norm(places[own, None] - places[earlier], axis=2)
        closest = away.min(axis=1, initial=np.inf)
        if scan >= FEWEST_SCANS and len(earlier) >= FEWEST_DOTS:
            found[own] = closest / np.hypot(np.median(nearest[earlier]), error[own])
        nearest[earlier] = np.minimum(nearest[earlier], away.min(axis=0, initial=np.inf))
        nearest[own] = closest
    return found
