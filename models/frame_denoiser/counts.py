"""Checks of what is given as detector frames."""

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE = 16
"""Pixels; below this, a frame holds no neighbourhood to learn from."""

LARGEST_COUNT = 2**24
"""Largest count that float32 holds exactly."""


def checked_counts(counts: NDArray[np.generic], gain: float | None = None) -> NDArray[np.float32]:
    """Photon counts of frames, checked.

    Parameters
    ----------
    counts : (H, W) or (F, H, W) array of whole numbers; of other values only with `gain`
    gain : detector units for each photon; values are divided by it and rounded to whole photons, at least 0

    Returns
    -------
    float32 array of the same shape, counts

    Raises
    ------
    ValueError
        If the shape, a value or the gain cannot be used.

    Examples
    --------
    >>> checked_counts(np.full((16, 16), 20.4), gain=10.0)[0, 0]
    np.float32(2.0)
    """
    array = np.asarray(counts)
    if array.ndim not in (2, 3) or array.shape[0] == 0:
        raise ValueError(f"counts has shape {array.shape}, expected (H, W) or (F, H, W).")
    if min(array.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(
            f"counts has shape {array.shape}, expected frames of at least {SMALLEST_SIDE} pixels in both directions."
        )
    if array.dtype.kind not in "buif":
        raise ValueError(f"counts has type {array.dtype}, expected whole numbers of photons.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = _first(~np.isfinite(array))
        raise ValueError(f"counts{place} is {array[tuple(place)]}, expected finite numbers; mask bad pixels and set 0.")
    if gain is not None:
        if not (np.isfinite(gain) and gain > 0):
            raise ValueError(f"gain is {gain}, expected a positive number of detector units for each photon.")
        array = np.maximum(np.rint(array / gain), 0)
    if (array < 0).any():
        place = _first(array < 0)
        raise ValueError(f"counts{place} is {array[tuple(place)]}, expected no negative counts; mask the pixel, set 0.")
    if array.dtype.kind == "f" and (array != np.rint(array)).any():
        place = _first(array != np.rint(array))
        raise ValueError(
            f"counts{place} is {array[tuple(place)]}, expected whole photons; give the gain (detector units for each "
            "photon, or 1/F for the mean of F frames)."
        )
    if array.max() > LARGEST_COUNT:
        place = _first(array > LARGEST_COUNT)
        raise ValueError(
            f"counts{place} is {array[tuple(place)]}, expected at most {LARGEST_COUNT}; mask pixels that hold a flag."
        )
    return np.asarray(array, np.float32)


def checked_mask(mask: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mask (H, W) for frames of this shape, True = usable; None: all pixels.

    Raises
    ------
    ValueError
        If the mask has another shape or type, or leaves no pixel.
    """
    if mask is None:
        return np.ones(shape[-2:], np.bool_)
    array = np.asarray(mask)
    if array.shape != tuple(shape[-2:]):
        raise ValueError(f"mask has shape {array.shape}, expected {tuple(shape[-2:])} as the frames.")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError(f"mask has type {array.dtype} and values beside 0 and 1, expected True for usable pixels.")
    usable = array.astype(np.bool_)
    if not usable.any():
        raise ValueError("mask leaves out all pixels, expected at least one that is True (usable).")
    return usable


def _first(where: NDArray[np.bool_]) -> list[int]:
    return [int(index) for index in np.unravel_index(int(np.argmax(where)), where.shape)]
