"""The values that the stages of the route hand to each other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Geometry:
    """Where the detector stood and how fast it ran.

    Pixel (row r, column c) has its centre at (r, c); the beam centre may lie between pixels or outside the frame.

    Attributes
    ----------
    beam_center_y, beam_center_x : row and column of the direct beam, pixels
    distance_m : from sample to detector, m
    wavelength_angstrom : of the X-rays, Å
    pixel_size_m : edge of the square pixels, m
    frame_time_s : from the start of one frame to the start of the next, s
    """

    beam_center_y: float
    beam_center_x: float
    distance_m: float
    wavelength_angstrom: float
    pixel_size_m: float
    frame_time_s: float

    def __post_init__(self) -> None:
        for name in ("distance_m", "wavelength_angstrom", "pixel_size_m", "frame_time_s"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, expected a positive number.")
        for name in ("beam_center_y", "beam_center_x"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite number of pixels.")


@dataclass(frozen=True)
class Rois:
    """Regions of interest of one detector.

    Attributes
    ----------
    labels : (H, W) int32, 0 where no ROI lies, 1 ... R elsewhere
    q : (R,) float, mean momentum transfer of the unmasked pixels, 1/Å
    q_inner, q_outer : (R,) float, edges of each ring, 1/Å; NaN where it has none
    phi : (R,) float, middle of its angles, degrees; NaN where it has none
    q_from_pixels : (R,) bool, False where q was given and does not follow the pixels
    """

    labels: NDArray[np.int32]
    q: NDArray[np.float64]
    q_inner: NDArray[np.float64]
    q_outer: NDArray[np.float64]
    phi: NDArray[np.float64]
    q_from_pixels: NDArray[np.bool_]

    @property
    def number(self) -> int:
        """Number of ROIs."""
        return len(self.q)

    @cached_property
    def n_pixels(self) -> NDArray[np.int64]:
        """Pixels of each ROI, (R,)."""
        return np.bincount(self.labels.ravel(), minlength=self.number + 1)[1:]
