"""The published tables and arrays that a verdict reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.results import Analysis

TABLES = ("fits", "fits_age", "q_fit", "g2")
ARRAYS = ("intensity", "bad_frames")


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made from; tables and arrays as `twotime.results.NODES` describes them.

    Attributes
    ----------
    fits, fits_age, q_fit, g2 : published tables
    intensity : (N, R) array, mean counts per pixel of each frame and ROI
    bad : (N,) array, True where a frame was left out
    frame_time_s : time between two analysed frames
    """

    fits: pd.DataFrame
    fits_age: pd.DataFrame
    q_fit: pd.DataFrame
    g2: pd.DataFrame
    intensity: NDArray[np.float64]
    bad: NDArray[np.bool_]
    frame_time_s: float

    @classmethod
    def of(cls, analysis: Analysis) -> "Evidence":
        """Of an analysis in memory."""
        return cls.read(
            lambda name: analysis.tables[name],
            lambda name: analysis.arrays[name],
            float(analysis.resolved["frame_time_s"]),
        )

    @classmethod
    def read(
        cls,
        table: Callable[[str], pd.DataFrame],
        array: Callable[[str], NDArray[Any]],
        frame_time_s: float,
    ) -> "Evidence":
        """By functions that return the published table or array of a name."""
        fits, fits_age, q_fit, g2 = (table(name) for name in TABLES)
        intensity, bad = (array(name) for name in ARRAYS)
        return cls(fits, fits_age, q_fit, g2, np.asarray(intensity, float), np.asarray(bad, bool), float(frame_time_s))

    @property
    def duration_s(self) -> float:
        """Length of the scan."""
        return len(self.bad) * self.frame_time_s

    @property
    def rois(self) -> tuple[int, ...]:
        """Numbers of all ROIs."""
        return tuple(int(number) for number in self.fits["roi"])

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of `fits` as numbers; NaN where an older analysis has none."""
        if name not in self.fits:
            return np.full(len(self.fits), np.nan)
        return np.asarray(self.fits[name], float)

    def curve(self, roi: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Lag in frames, measured g2 and its error of a ROI, where they are finite."""
        own = self.g2[self.g2["roi"] == roi]
        lag, g2, error = (np.asarray(own[name], float) for name in ("lag_frames", "g2_raw", "g2_raw_error"))
        known = np.isfinite(g2) & np.isfinite(error) & (error > 0)
        return lag[known], g2[known], error[known]
