"""From the frame as the detector writes it to the frame in which an analysis is made."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Orientation = Literal["raw", "flipped", "flipped and turned"]
"""``raw``: as written. ``flipped``: upside down, as at CHX for Eiger 4M and 1M. ``flipped and turned``: upside down,
then turned by 90° counter-clockwise, as for the Eiger 500K."""


def oriented(frames: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """Frames (..., H, W) as written, seen in the analysis frame; a view of the same memory.

    Notes
    -----
    Pixel (y, x) of the raw frame goes to (H - 1 - y, x) when flipped, to (W - 1 - x, H - 1 - y) when turned as well.

    Examples
    --------
    >>> oriented(np.array([[1, 2, 3], [4, 5, 6]]), "flipped and turned")
    array([[6, 3],
           [5, 2],
           [4, 1]])
    """
    if orientation == "raw":
        return frames
    flipped = frames[..., ::-1, :]
    if orientation == "flipped":
        return flipped
    turned: NDArray[Any] = np.rot90(flipped, axes=(-2, -1))
    return turned


def as_written(frames: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """Frames (..., H, W) of the analysis frame, as the detector would write them: the way back from `oriented`."""
    if orientation == "raw":
        return frames
    unturned = np.rot90(frames, -1, axes=(-2, -1)) if orientation == "flipped and turned" else frames
    return unturned[..., ::-1, :]


def oriented_shape(shape: tuple[int, int], orientation: Orientation) -> tuple[int, int]:
    """Rows and columns of the analysis frame of a raw frame (H, W)."""
    return (shape[1], shape[0]) if orientation == "flipped and turned" else shape


def oriented_point(
    y: float, x: float, shape: tuple[int, int], orientation: Orientation, *, pychx: bool
) -> tuple[float, float]:
    """Where a point of the raw frame, such as the beam centre, lies in the analysis frame.

    Parameters
    ----------
    y, x : row and column in the raw frame, pixels
    shape : (H, W) of the raw frame
    pychx : as the notebooks of CHX have it, H - y in place of H - 1 - y: one pixel off the map of `oriented`, and right
        where the recorded centre counts from 1
    """
    last_y, last_x = (shape[0], shape[1]) if pychx else (shape[0] - 1, shape[1] - 1)
    if orientation == "raw":
        return y, x
    if orientation == "flipped":
        return last_y - y, x
    return last_x - x, last_y - y


def written_point(
    row: float, column: float, shape: tuple[int, int], orientation: Orientation, *, pychx: bool
) -> tuple[float, float]:
    """(y, x) in the raw frame (H, W) of a point of the analysis frame: the way back from `oriented_point`."""
    last_y, last_x = (shape[0], shape[1]) if pychx else (shape[0] - 1, shape[1] - 1)
    if orientation == "raw":
        return row, column
    if orientation == "flipped":
        return last_y - row, column
    return last_y - column, last_x - row
