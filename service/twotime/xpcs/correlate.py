"""The two-time correlation function."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from twotime.xpcs.products import SPARSE_BELOW, Frames, Route, route_of, row_sums

_PANEL = {"int8": 384, "int8 in two digits": 512, "sparse": 1024, "float32": 4096}
"""Frames per panel of rows: products are taken below the diagonal only, and memory stays small beside the result."""


def two_time(
    pixels: NDArray[Any] | sp.csr_array,
    *,
    bad: NDArray[np.bool_] | None = None,
    flat: NDArray[np.floating] | None = None,
    flux: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Two-time correlation function of one ROI.

    Parameters
    ----------
    pixels : (N, P) array, counts; or the same as a sparse array, for data that arrive as events
    bad : (N,) array, True where a frame is to be left out
    flat : (P,) array, positive: a static image by which each pixel is divided first, such as the azimuthal mean or the
        smoothed mean image; None: nothing
    flux : (N,) array, positive: incident flux, in any unit, in place of the frames' own means; None: these

    Returns
    -------
    (N, N) float32
        Symmetric; 1 where frames are uncorrelated. NaN in the row and column of frames that are bad or hold no counts.

    Raises
    ------
    ValueError
        If `pixels` is not a matrix with pixels or holds negative counts, or another array does not fit to it.

    Notes
    -----
    Konstantinova 2021, Eq. 1: C2[i, j] = <I_i I_j>_P / (<I_i>_P <I_j>_P). With `flux` f the denominator is f_i f_j
    (mean over sound frames of <I>_P / f)², so that fluctuations of the ROI's own intensity stay in. The result is
    within 1e-6 of float64 throughout; `twotime.xpcs.products` has the routes and `two_time_route` tells which is taken.

    Examples
    --------
    >>> two_time(np.array([[1, 3], [2, 2]]))
    array([[1.25, 1.  ],
           [1.  , 1.  ]], dtype=float32)
    """
    if pixels.ndim != 2 or pixels.shape[1] == 0:
        raise ValueError(f"pixels has shape {pixels.shape}, expected (N, P) with at least one pixel.")
    n_frames, n_pixels = pixels.shape
    for name, given, length in (("bad", bad, n_frames), ("flux", flux, n_frames), ("flat", flat, n_pixels)):
        if given is not None and given.shape != (length,):
            raise ValueError(f"{name} has shape {given.shape}, expected ({length},).")
        if given is not None and name != "bad" and not (np.isfinite(given) & (given > 0)).all():
            raise ValueError(f"{name} holds numbers that are not positive; leave out these pixels or frames.")
    if n_frames and pixels.dtype.kind in "if" and pixels.min() < 0:
        raise ValueError(f"pixels holds {pixels.min():g}, expected counts of 0 or more; mask marked pixels first.")
    route = two_time_route(pixels, flat=flat)
    if not isinstance(pixels, np.ndarray) and route != "sparse":
        pixels = pixels.toarray()
    scale = _scale(pixels, bad, flat, flux)
    frames = Frames(pixels, route, scale, flat)
    result = np.empty((n_frames, n_frames), np.float32)
    panel = _PANEL[frames.route]
    for first in range(0, n_frames, panel):
        last = min(first + panel, n_frames)
        own = frames.rows(slice(first, last))
        if first:
            rows = own.times(frames.rows(slice(0, first)))
            result[first:last, :first] = rows
            result[:first, first:last] = rows.T
        result[first:last, first:last] = own.times(own)
    lost = scale <= 0
    result[lost] = np.nan
    result[:, lost] = np.nan
    return result


def two_time_route(pixels: NDArray[Any] | sp.csr_array, *, flat: NDArray[np.floating] | None = None) -> Route:
    """By which route `two_time` multiplies these counts, see `twotime.xpcs.products`."""
    if not isinstance(pixels, np.ndarray) and flat is None:
        share = pixels.nnz / max(1, pixels.shape[0] * pixels.shape[1])
        if share < SPARSE_BELOW:
            return "sparse"
    largest = float(pixels.max()) if pixels.shape[0] else 0.0
    return route_of(largest, integer=pixels.dtype.kind in "ui", flat=flat is not None)


def _scale(
    pixels: NDArray[Any] | sp.csr_array,
    bad: NDArray[np.bool_] | None,
    flat: NDArray[np.floating] | None,
    flux: NDArray[np.floating] | None,
) -> NDArray[np.float64]:
    """What each frame is divided by (N,); 0 where it is left out."""
    n_pixels = pixels.shape[1]
    if flat is not None:
        mean = np.asarray(pixels @ (1 / flat), np.float64) / n_pixels
    elif isinstance(pixels, np.ndarray):
        mean = row_sums(pixels) / n_pixels
    else:
        mean = np.asarray(pixels.sum(axis=1, dtype=np.float64)).ravel() / n_pixels
    lost = ~(mean > 0) if bad is None else ~(mean > 0) | bad
    if flux is not None and not lost.all():
        mean = flux * float((mean[~lost] / flux[~lost]).mean())
    return np.where(lost, 0.0, mean)
