"""How arrays are stored in Tiled: two-time correlation functions without digits of noise, and above the diagonal only.

Of 20 ROIs of 1000 frames that leaves a fifth of the bytes (`tests/benchmarks/stored_bytes.py`). Node names, shapes and
types stay, and the metadata of each node say in `storage` what was done and how to get the whole function.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.results import Analysis
from twotime.xpcs.compact import LARGEST_ERROR, SPREAD_DIGITS, noise_of, rounded, rounded_error, step_within, upper

RAW, DENOISED, SPREAD = "two_time", "two_time_denoised", "two_time_spread"
HALVED = (RAW, DENOISED, SPREAD)
"""Arrays that are stored above the diagonal only."""
_PERCENT = f"{100 * LARGEST_ERROR:g} %"
_ROUNDING = {
    RAW: f"to multiples of `step`, one per ROI; standard deviation of the error below {_PERCENT} of `noise`",
    DENOISED: "to multiples of a power of two at each point; standard deviation of the error below "
    f"{_PERCENT} of `two_time_spread`, and where that is NaN as `two_time`",
    SPREAD: f"to {SPREAD_DIGITS} binary digits after the first; error below {100 / 2 ** (SPREAD_DIGITS + 1):g} %",
}


class StoredForm:
    """Parts of the arrays of an analysis, as they are stored.

    Parameters
    ----------
    analysis : as computed

    Attributes
    ----------
    noise : (R,) standard deviation of the noise of each ROI's measured function; NaN, and `step` 0, without such a node
    step : (R,) float32, what its values are multiples of
    """

    def __init__(self, analysis: Analysis) -> None:
        self._arrays = analysis.arrays
        raw = analysis.arrays.get(RAW)
        n_rois = max((len(analysis.arrays[name]) for name in HALVED if name in analysis.arrays), default=0)
        self.noise = np.full(n_rois, np.nan) if raw is None else np.array([noise_of(one) for one in raw])
        self.step = step_within(self.noise)

    def block(self, name: str, index: tuple[slice, ...]) -> NDArray[Any]:
        """The part of an array that `index` names."""
        values = self._arrays[name][index]
        if name not in HALVED:
            return np.ascontiguousarray(values)
        return upper(self._rounded(name, index, values), index[1].start, index[2].start)

    def metadata(self, name: str) -> dict[str, Any]:
        """What readers have to know of the form; empty where an array is stored as it is."""
        if name not in HALVED:
            return {}
        storage: dict[str, Any] = {
            "part": "upper triangle; NaN below the diagonal, since values[j, i] = values[i, j]",
            "whole": "numpy.fmax(values, numpy.swapaxes(values, -2, -1))",
            "rounded": _ROUNDING[name],
        }
        if name == RAW:
            storage |= {"step": self.step.tolist(), "noise": self.noise.tolist()}
        return {"storage": storage}

    def _rounded(self, name: str, index: tuple[slice, ...], values: NDArray[np.float32]) -> NDArray[np.float32]:
        if name == SPREAD:
            return rounded_error(values)
        step = self.step[index[0], None, None]
        if name == RAW:
            return rounded(values, step)
        if SPREAD not in self._arrays:  # Nothing says how well the values are known.
            return values
        spread = rounded_error(self._arrays[SPREAD][index])
        return rounded(values, np.where(np.isnan(spread), step, step_within(spread)))


def is_halved(metadata: Mapping[str, Any]) -> bool:
    """Whether a node holds only the upper triangle of its functions; analyses up to 0.2.0 hold both."""
    return "part" in (metadata.get("storage") or {})
