"""Bringing two-time correlation functions to contrast 1 and back: Konstantinova 2021, Eq. 4 to 7."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs import decay, fit_decay, one_time

SMALLEST_CONTRAST = 1e-4
FIRST_LAGS = 3
"""Lags that tell the contrast of a window."""
BASELINE_PRIOR = 0.5
"""Of the contrast, by how much a baseline is expected to differ from 1."""
LIKENESS = 2.0
"""Neighbours along a diagonal share speckle: errors of its mean are so many times those of independent values."""


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


@dataclass(frozen=True)
class SmoothScaling:
    """Contrast and baseline of a scan: one baseline, a contrast that follows age only as far as the data show it.

    Attributes
    ----------
    baseline : of the whole scan
    whole : contrast of the whole scan, at lag 1
    age, contrast : (M,) frames and contrast of windows there
    """

    baseline: float
    whole: float
    age: NDArray[np.float64]
    contrast: NDArray[np.float64]

    def at(self, age: NDArray[np.float64]) -> Scaling:
        """For windows whose middle lies at these ages, frames."""
        contrast = np.maximum(np.interp(age, self.age, self.contrast), SMALLEST_CONTRAST)
        return Scaling(np.full(len(age), self.baseline), contrast)


def smooth_scaling(c2: NDArray[np.floating], starts: NDArray[np.intp], window: int) -> SmoothScaling:
    """Contrast and baseline from the whole curve, shrunk by their errors.

    Notes
    -----
    The fit of the whole curve gives baseline and contrast; the baseline is drawn towards 1, where the normalisation
    puts it, by its own error against `BASELINE_PRIOR`. The contrast of each window comes from its first lags relative
    to the fit there and is drawn towards the whole by empirical Bayes: by what their scatter exceeds
    their errors. A single noisy window never decides its own scale.
    """
    longest = max(5, int(0.75 * len(c2)))
    curve = one_time(c2, max_lag=longest)
    lag = np.unique(np.rint(np.geomspace(1, longest, 120)).astype(int))
    g2, error = curve.g2[lag - 1], curve.error[lag - 1]
    middle = np.asarray(starts + (window - 1) / 2, np.float64)
    nothing = SmoothScaling(1.0, SMALLEST_CONTRAST, middle, np.full(len(starts), SMALLEST_CONTRAST))
    if not np.isfinite(curve.g2[:FIRST_LAGS]).all():
        return nothing
    fits = fit_decay(lag, g2[None], sigma=error[None], bounds={"beta": (0, 4), "baseline": (0.5, 2.0)})
    baseline, whole = 1.0, float(curve.g2[:FIRST_LAGS].mean()) - 1
    model = np.full(FIRST_LAGS, 1 + whole)
    if np.isfinite(fits.relaxation_rate[0]) and fits.beta[0] > 0:
        first = np.arange(1, FIRST_LAGS + 1)
        values = [float(getattr(fits, name)[0]) for name in ("relaxation_rate", "beta", "baseline", "alpha")]
        prior, own = BASELINE_PRIOR * fits.beta[0], fits.baseline_error[0]
        if np.isfinite(own):
            baseline = 1 + (values[2] - 1) * prior**2 / (prior**2 + own**2)
        model = decay(first, *values)
        whole = float(model[0] - baseline)
    if whole <= SMALLEST_CONTRAST:
        return nothing
    share = (model - baseline) / whole
    local, error = _local_contrast(c2, starts, window, baseline, share)
    known = np.isfinite(local) & (error > 0)
    if np.count_nonzero(known) < 3:
        return SmoothScaling(baseline, whole, middle, np.full(len(starts), whole))
    excess = max(float(np.mean((local[known] - whole) ** 2 - error[known] ** 2)), 0.0)
    weight = np.where(known, excess / (excess + np.where(known, error, 1.0) ** 2), 0.0)
    contrast = whole + weight * (np.where(known, local, whole) - whole)
    return SmoothScaling(baseline, whole, middle, np.maximum(contrast, 0.2 * whole))


def _local_contrast(
    c2: NDArray[np.floating], starts: NDArray[np.intp], window: int, baseline: float, share: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Contrast (M,) of windows by their first lags, each over what the whole curve has there, and its error."""
    local, error = np.full(len(starts), np.nan), np.full(len(starts), np.nan)
    diagonals = [np.diagonal(c2, lag) for lag in range(1, FIRST_LAGS + 1)]
    for place, start in enumerate(starts):
        rises = np.concatenate([one[start : start + window - k - 1] - baseline for k, one in enumerate(diagonals)])
        shares = np.repeat(np.maximum(share, 0.1), [window - 1 - k for k in range(FIRST_LAGS)])[: len(rises)]
        known = np.isfinite(rises)
        if np.count_nonzero(known) < FIRST_LAGS * window / 2:
            continue
        square = float((shares[known] ** 2).sum())
        local[place] = float((rises[known] * shares[known]).sum() / square)
        scatter = float(np.std(rises[known] - local[place] * shares[known]))
        error[place] = LIKENESS * scatter / np.sqrt(square)
    return local, error
