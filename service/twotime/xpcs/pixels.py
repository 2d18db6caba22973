"""Picking the pixels of all ROIs out of frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RoiPixels:
    """The pixels of all ROIs, sorted by ROI.

    Parameters
    ----------
    labels : (H, W) array, 0 off the ROIs, 1 ... R on them

    Attributes
    ----------
    indices : (P,) flat index of each pixel; within one ROI in the order of the frame
    columns : one slice of `indices` per ROI
    """

    def __init__(self, labels: NDArray[np.int32]) -> None:
        flat = labels.ravel()
        inside = np.flatnonzero(flat)
        self.indices: NDArray[np.intp] = inside[np.argsort(flat[inside], kind="stable")]
        ends = np.cumsum(np.bincount(flat[inside], minlength=1)[1:]).tolist()
        self.columns = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []

    @property
    def n_pixels(self) -> int:
        """Pixels of all ROIs together."""
        return len(self.indices)

    def gather(self, block: NDArray[Any]) -> NDArray[Any]:
        """Counts (k, P) of frames (k, H, W)."""
        picked: NDArray[Any] = block.reshape(len(block), -1)[:, self.indices]
        return picked
