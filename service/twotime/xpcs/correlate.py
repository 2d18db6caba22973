"""The two-time correlation function."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 256 * 2**20


def two_time(
    pixels: NDArray[Any], *, bad: NDArray[np.bool_] | None = None, block_pixels: int | None = None
) -> NDArray[np.float32]:
    """Two-time correlation function of one ROI.

    Parameters
    ----------
    pixels : (N, P) array, counts
    bad : (N,) array, True where a frame is to be left out
    block_pixels : pixels correlated at a time; None: as many as 256 MiB hold

    Returns
    -------
    (N, N) float32
        Symmetric; 1 where frames are uncorrelated. NaN in the row and column of frames that are bad or hold no counts.

    Raises
    ------
    ValueError
        If `pixels` is not a matrix with pixels, or `bad` has another length.

    Notes
    -----
    Konstantinova 2021, Eq. 1: C2[i, j] = <I_i I_j>_P / (<I_i>_P <I_j>_P). The sums run over deviations from each
    frame's mean, in float32 products of at most 256 MiB of pixels and float64 sums over them, which keeps the result
    within 1e-6 of float64 throughout.

    Examples
    --------
    >>> two_time(np.array([[1, 3], [2, 2]]))
    array([[1.25, 1.  ],
           [1.  , 1.  ]], dtype=float32)
    """
    if pixels.ndim != 2 or pixels.shape[1] == 0:
        raise ValueError(f"pixels has shape {pixels.shape}, expected (N, P) with at least one pixel.")
    if block_pixels is not None and block_pixels < 1:
        raise ValueError(f"block_pixels is {block_pixels}, expected at least 1.")
    n_frames, n_pixels = pixels.shape
    if bad is not None and bad.shape != (n_frames,):
        raise ValueError(f"bad has shape {bad.shape}, expected ({n_frames},).")
    mean = pixels.mean(axis=1, dtype=np.float64)
    sound = mean > 0 if bad is None else (mean > 0) & ~bad
    step = block_pixels or max(1, BLOCK_BYTES // (4 * n_frames))
    total = np.zeros((n_frames, n_frames))
    scale = np.divide(1.0, mean, out=np.zeros(n_frames), where=sound)
    for start in range(0, n_pixels, step):
        # Deviations from the mean keep the products small, so that float32 loses nothing of the contrast.
        deviation = (pixels[:, start : start + step] * scale[:, None] - 1).astype(np.float32)
        total += deviation @ deviation.T
    total /= n_pixels
    total += 1
    result = total.astype(np.float32)
    result[~sound] = np.nan
    result[:, ~sound] = np.nan
    return result
