"""How well the curve of an ROI is known, which the denoised two-time correlation function is moved to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.consistency import MeasuredCurve
from twotime.xpcs.decay import PARAMETERS, DecayFits
from twotime.xpcs.precision import MOST_FRAMES, Exposure, g2_covariance, speckle_variance

SPECKLE_LAGS = 10
DECAY_TIMES = 2.0
"""Relaxation times within which speckle fluctuations are looked at."""
PASSED = 0.07
"""Share of the variance by counting that the models leave in changes with age; all of that by speckle passes them."""
LONGEST = 0.5
"""Share of the frames up to which they are: beyond it the scan holds too few stretches to compare."""


def measured_curve(
    lag: NDArray[np.int64],
    g2: NDArray[np.float64],
    covariance: NDArray[np.float64],
    fits: DecayFits,
    pixels: NDArray[Any],
    n_frames: int,
) -> MeasuredCurve:
    """The measured curve with its covariance, and the noise that denoising does not remove.

    Parameters
    ----------
    lag : (L,) frames
    g2 : (L,)
    covariance : (L, L), of g2 between lags, from the scatter over the ROI
    fits : one row, the fit of the curve, rates per frame
    pixels : (N', P) array, counts of the sound frames
    n_frames : N, of the scan

    Returns
    -------
    MeasuredCurve
        Without that noise where the fit has no values.

    Notes
    -----
    Pixels that share a speckle are fewer than they seem: the variance of independent pixels is multiplied by what
    `covariance` exceeds the expected one.
    """
    rate, beta, baseline, alpha = (float(getattr(fits, name)[0]) for name in PARAMETERS)
    counts = float(pixels.mean()) if pixels.size else 0.0
    none = np.zeros(0)
    if not (np.isfinite([rate, beta, baseline, alpha]).all() and min(rate, beta, counts) > 0):
        return MeasuredCurve(lag, g2, covariance, none.astype(np.int64), none, np.nan)
    exposure = Exposure(n_frames, pixels.shape[1], counts, rate, beta, baseline, alpha)
    longest = max(2.0, min(LONGEST * min(n_frames, MOST_FRAMES), DECAY_TIMES / rate))
    own = np.unique(np.rint(np.geomspace(1, longest, SPECKLE_LAGS)).astype(np.int64))
    expected = np.diagonal(g2_covariance(exposure, own))
    found = np.interp(own, lag, np.diagonal(covariance))
    speckle = speckle_variance(exposure, own) * float(np.mean(found / expected))
    return MeasuredCurve(lag, g2, covariance, own, speckle + PASSED * np.maximum(found - speckle, 0.0), rate)
