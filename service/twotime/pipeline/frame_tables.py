"""The tables of denoised frames: the frames themselves, their peaks, the counts of regions."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frame_denoiser import DenoisedFrames, Peak, find_peaks, region_counts
from twotime.recipe import PeakOptions

_PEAK_FIELDS = tuple(field.name for field in fields(Peak))
_REGION_COLUMNS = ("counts", "counts_error", "counts_denoised", "counts_denoised_error")


@dataclass(frozen=True)
class FrameNumbers:
    """Where a denoised frame stands in its run.

    Attributes
    ----------
    frame : from 0, along the axis of the published arrays
    number : of its first frame in the run
    summed : frames that were added
    scan_value : of the scan variable; NaN where there is none
    """

    frame: int
    number: int
    summed: int
    scan_value: float

    def columns(self) -> dict[str, Any]:
        """The columns that all tables begin with."""
        return {
            "frame": self.frame,
            "frame_number": self.number,
            "frames_summed": self.summed,
            "scan_value": self.scan_value,
        }


class FrameTables:
    """Rows of all tables, filled frame by frame.

    Parameters
    ----------
    labels : (H, W), 1 ... R in the regions, 0 elsewhere
    mask : (H, W), True where a pixel can be used
    options : which peaks to look for
    """

    def __init__(self, labels: NDArray[np.int32], mask: NDArray[np.bool_], options: PeakOptions) -> None:
        self._regions = [(labels == number) & mask for number in range(1, int(labels.max(initial=0)) + 1)]
        self._mask = mask
        self._options = options
        self._rows: dict[str, list[dict[str, Any]]] = {"frames": [], "peaks": [], "regions": []}
        self.shortened = 0

    def add(self, place: FrameNumbers, denoised: DenoisedFrames) -> None:
        """Take in one denoised frame, arrays (H, W)."""
        own = place.columns()
        peaks = find_peaks(denoised, self._mask, significance=self._options.significance) if self._options.find else []
        self.shortened += len(peaks) > self._options.most
        for peak in peaks[: self._options.most]:
            self._rows["peaks"].append(own | {name: getattr(peak, name) for name in _PEAK_FIELDS})
        for number, region in enumerate(self._regions, start=1):
            if region.any():
                counts = region_counts(denoised.counts, denoised, region, self._mask)
                values = dict(zip(_REGION_COLUMNS, counts, strict=True))
                self._rows["regions"].append(own | {"region": number, "n_pixels": int(region.sum())} | values)
        whole = {
            "counts": float(denoised.counts[self._mask].sum(dtype=np.float64)),
            "counts_denoised": float(denoised.rate[self._mask].sum(dtype=np.float64)),
            "residual_deviation": float(np.nanstd(denoised.residual, dtype=np.float64)),
            "n_peaks": len(peaks),
            "unlike": " ".join(denoised.unlike[0]),
        }
        self._rows["frames"].append(own | whole)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables; one without rows keeps its columns."""
        first = list(FrameNumbers(0, 0, 0, 0.0).columns())
        columns = {
            "frames": [*first, "counts", "counts_denoised", "residual_deviation", "n_peaks", "unlike"],
            "peaks": [*first, *_PEAK_FIELDS],
            "regions": [*first, "region", "n_pixels", *_REGION_COLUMNS],
        }
        return {
            name: _typed(pd.DataFrame(rows, columns=columns[name]))
            for name, rows in self._rows.items()
            if rows or name != "regions"
        }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Integers for numbers of things and floats for the rest, also where there is no row."""
    whole = {"frame", "frame_number", "frames_summed", "region", "n_pixels", "n_peaks"}
    kinds = {name: "int64" if name in whole else "float64" for name in table.columns if name != "unlike"}
    return table.astype(kinds)
