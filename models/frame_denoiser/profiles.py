"""Counts and rates along a line through a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.generic]
Point = tuple[float, float]


@dataclass(frozen=True)
class Profile:
    """Means per pixel across the line, at points one pixel apart; arrays (P,), float64.

    Attributes
    ----------
    distance : from the first point, pixels
    row, column : of the points
    n_pixels : usable pixels that each mean is taken over
    raw : counts per pixel; NaN where no pixel is usable
    raw_error : standard error from counting, that of one count where there are none
    rate : denoised, counts per pixel
    rate_error : standard error
    """

    distance: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    n_pixels: NDArray[np.int64]
    raw: NDArray[np.float64]
    raw_error: NDArray[np.float64]
    rate: NDArray[np.float64]
    rate_error: NDArray[np.float64]


def line_profile(
    counts: Image, rate: Image, error: Image, mask: NDArray[np.bool_], start: Point, stop: Point, width: int = 1
) -> Profile:
    """Profile of a denoised frame.

    Parameters
    ----------
    counts, rate, error : (H, W), counts per pixel
    mask : (H, W), True where usable
    start, stop : row and column of both ends
    width : pixels across the line that are averaged; those beyond the frame are left out

    Raises
    ------
    ValueError
        If an end lies outside the frame, both are the same, or the width is below 1.

    Notes
    -----
    Each point takes the nearest pixels, each pixel once. Errors of means of rates are those of sums over a region, see
    `frame_denoiser.region_counts`, over the number of pixels.
    """
    shape = counts.shape
    for name, (row, column) in (("start", start), ("stop", stop)):
        if not (-0.5 <= row <= shape[0] - 0.5 and -0.5 <= column <= shape[1] - 0.5):
            raise ValueError(
                f"{name} is ({row:g}, {column:g}), expected a point within {shape[0]} x {shape[1]} pixels."
            )
    length = float(np.hypot(stop[0] - start[0], stop[1] - start[1]))
    if length == 0:
        raise ValueError(f"start and stop are both ({start[0]:g}, {start[1]:g}), expected two different points.")
    if width < 1:
        raise ValueError(f"width is {width}, expected at least 1 pixel.")
    along = (stop[0] - start[0]) / length, (stop[1] - start[1]) / length
    distance = np.linspace(0.0, length, int(np.ceil(length)) + 1)
    rows, columns = start[0] + along[0] * distance, start[1] + along[1] * distance
    values = [
        _across(counts, rate, error, mask, (row, column), (-along[1], along[0]), width)
        for row, column in zip(rows, columns, strict=True)
    ]
    n_pixels, raw, raw_error, means, errors = (np.array(column) for column in zip(*values, strict=True))
    return Profile(distance, rows, columns, n_pixels.astype(np.int64), raw, raw_error, means, errors)


def _across(
    counts: Image, rate: Image, error: Image, mask: NDArray[np.bool_], point: Point, across: Point, width: int
) -> tuple[int, float, float, float, float]:
    """Number of usable pixels, mean counts and rate with their errors, across the line at one point."""
    offsets = np.arange(width) - (width - 1) / 2
    pixels = np.unique(
        np.rint(np.stack([point[axis] + across[axis] * offsets for axis in (0, 1)], axis=1)).astype(int), axis=0
    )
    inside = pixels[(pixels >= 0).all(axis=1) & (pixels < counts.shape).all(axis=1)]
    if not len(inside):  # An end on the outer edge of a pixel rounds beyond it.
        inside = np.clip(pixels, 0, np.array(counts.shape) - 1)[:1]
    places = tuple(inside.T)
    usable = mask[places]
    total, number = float(counts[places][usable].sum()), int(usable.sum())
    counting = max(total, 1.0) ** 0.5
    raw, raw_error = (total / number, counting / number) if number else (np.nan, np.nan)
    known, hidden = (float(error[places][own].sum()) for own in (usable, ~usable))
    rate_error = float(np.hypot(min(known, counting), hidden)) / len(inside)
    return number, raw, raw_error, float(rate[places].mean()), rate_error
