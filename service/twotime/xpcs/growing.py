"""The two-time correlation function of a scan that is still going on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.products import Frames, route_of, row_sums

_FIRST_CAPACITY = 64


class TwoTimeAccumulator:
    """Takes blocks of frames and yields the two-time correlation function of all frames so far.

    The result equals `two_time` of all frames at once within 1e-6; a block costs as much as the new pairs it brings.

    Parameters
    ----------
    n_pixels : of the ROI
    flat : (P,) static image by which pixels are divided; None: nothing

    Attributes
    ----------
    n_frames : taken so far

    Examples
    --------
    >>> growing = TwoTimeAccumulator(2)
    >>> growing.add(np.array([[1, 3]]))
    >>> growing.add(np.array([[2, 2]]))
    >>> growing.two_time()
    array([[1.25, 1.  ],
           [1.  , 1.  ]], dtype=float32)
    """

    def __init__(self, n_pixels: int, *, flat: NDArray[np.floating] | None = None) -> None:
        if n_pixels < 1:
            raise ValueError(f"n_pixels is {n_pixels}, expected at least 1.")
        if flat is not None and flat.shape != (n_pixels,):
            raise ValueError(f"flat has shape {flat.shape}, expected ({n_pixels},).")
        self.n_frames = 0
        self._n_pixels = n_pixels
        self._flat = flat
        self._pixels: NDArray[Any] = np.zeros((_FIRST_CAPACITY, n_pixels), np.uint8)
        self._mean = np.zeros(_FIRST_CAPACITY)
        self._c2 = np.zeros((_FIRST_CAPACITY, _FIRST_CAPACITY), np.float32)

    def add(self, block: NDArray[Any]) -> None:
        """Take in frames (k, P), counts.

        Raises
        ------
        ValueError
            If the block has another number of pixels.
        """
        if block.ndim != 2 or block.shape[1] != self._n_pixels:
            raise ValueError(f"block has shape {block.shape}, expected (k, {self._n_pixels}).")
        if len(block) == 0:
            return
        first, last = self.n_frames, self.n_frames + len(block)
        self._make_room(last, block)
        self._pixels[first:last] = block
        relative = self._pixels[first:last] if self._flat is None else self._pixels[first:last] / self._flat
        self._mean[first:last] = row_sums(relative) / self._n_pixels
        self.n_frames = last
        integer = self._pixels.dtype.kind in "ui"
        route = route_of(float(self._pixels[:last].max()), integer=integer, flat=self._flat is not None)
        new = Frames(self._pixels[first:last], route, self._mean[first:last], self._flat)
        everything = Frames(self._pixels[:last], route, self._mean[:last], self._flat)
        rows = new.times(everything)
        self._c2[first:last, :last] = rows
        self._c2[:last, first:last] = rows.T

    def two_time(self, *, bad: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Two-time correlation function (N, N) of all frames so far; NaN where a frame is bad or holds no counts.

        Parameters
        ----------
        bad : (N,) array, True where a frame is left out
        """
        n = self.n_frames
        if bad is not None and bad.shape != (n,):
            raise ValueError(f"bad has shape {bad.shape}, expected ({n},).")
        lost = self._mean[:n] <= 0 if bad is None else (self._mean[:n] <= 0) | bad
        c2 = self._c2[:n, :n].copy()
        c2[lost] = np.nan
        c2[:, lost] = np.nan
        return c2

    def _make_room(self, frames: int, block: NDArray[Any]) -> None:
        """Double the room where it is too small, and widen the type where counts outgrow it."""
        needed = self._pixels.dtype
        if block.dtype.kind == "f" or (
            block.size and (int(block.max()) > np.iinfo(needed).max or int(block.min()) < 0)
        ):
            needed = np.result_type(needed, block.dtype)
        room = len(self._pixels)
        while room < frames:
            room *= 2
        n = self.n_frames
        if needed != self._pixels.dtype or room > len(self._pixels):
            pixels = np.zeros((room, self._n_pixels), needed)
            pixels[:n] = self._pixels[:n]
            self._pixels = pixels
        if room > len(self._mean):
            self._mean = np.concatenate([self._mean, np.zeros(room - len(self._mean))])
            c2 = np.zeros((room, room), np.float32)
            c2[:n, :n] = self._c2[:n, :n]
            self._c2 = c2
