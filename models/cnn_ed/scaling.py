"""Bringing two-time correlation functions to contrast 1 and back: Konstantinova 2021, Eq. 4 to 7."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_CONTRAST = 1e-4


@dataclass(frozen=True)
class Scaling:
    """Baseline and contrast that belong to one or many windows.

    Attributes
    ----------
    baseline : value of uncorrelated frames
    contrast : rise of lag 1 above the baseline; at least `SMALLEST_CONTRAST`
    """

    baseline: NDArray[np.float64]
    contrast: NDArray[np.float64]

    def to_network(self, windows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Eq. 5 or 7: (C2 - baseline) / contrast + 1, of windows (M, W, W)."""
        return ((windows - self._wide(self.baseline)) / self._wide(self.contrast) + 1).astype(np.float32)

    def from_network(self, outputs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Eq. 6, the way back, of the pixels (..., U, M) of windows."""
        values = (outputs - 1) * self.contrast.astype(np.float32) + self.baseline.astype(np.float32)
        return np.asarray(values, np.float32)

    @staticmethod
    def _wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[..., None, None]


def scaling_by_window(windows: NDArray[np.floating]) -> Scaling:
    """Eq. 5: each of (M, W, W) windows by its own mean at lag 1, with baseline 1."""
    lag_one = np.nanmean(np.diagonal(windows, 1, -2, -1), axis=-1)
    return Scaling(np.ones_like(lag_one, float), np.maximum(lag_one - 1, SMALLEST_CONTRAST).astype(float))


def scaling_of_all(c2: NDArray[np.floating], windows: int) -> Scaling:
    """Eq. 7: one baseline and contrast for all windows of an (N, N) two-time correlation function.

    The baseline is the mean over the longest quarter of the lags, the contrast that of lag 1 above it. Bad frames at
    both ends do not count.
    """
    sound = np.flatnonzero(np.isfinite(c2).any(axis=1))
    if not np.isfinite(np.diagonal(c2, 1)).any():
        return Scaling(np.ones(windows), np.full(windows, SMALLEST_CONTRAST))
    c2 = c2[sound[0] : sound[-1] + 1, sound[0] : sound[-1] + 1]
    rows, columns = np.triu_indices(len(c2), int(0.75 * len(c2)))
    baseline = float(np.nanmean(c2[rows, columns]))
    contrast = max(float(np.nanmean(np.diagonal(c2, 1))) - baseline, SMALLEST_CONTRAST)
    return Scaling(np.full(windows, baseline), np.full(windows, contrast))
