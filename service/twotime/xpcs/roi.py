"""Regions of interest as labels on the detector."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.geometry import q_from_radius, q_map, radius_map
from twotime.xpcs.types import Geometry, Rois


def ring_rois(
    geometry: Geometry,
    shape: tuple[int, int],
    edges: Sequence[tuple[float, float]],
    unit: Literal["1/A", "pixel"],
    mask: NDArray[np.bool_] | None = None,
) -> Rois:
    """Concentric rings around the beam centre.

    Parameters
    ----------
    geometry : of the detector
    shape : (H, W)
    edges : inner (included) and outer (excluded) edge of each ring
    unit : of the edges, 1/Å or pixels
    mask : (H, W) array, True where a pixel can be used; None: everywhere

    Returns
    -------
    Rois
        Labels 1 ... R in the order of `edges`; q is the mean over the pixels of each ring.

    Raises
    ------
    ValueError
        If a ring lies outside the detector, holds no usable pixel or overlaps another ring.
    """
    q = q_map(geometry, shape)
    scale = q if unit == "1/A" else radius_map(geometry, shape)
    usable = np.ones(shape, bool) if mask is None else mask
    labels = np.zeros(shape, np.int32)
    means = []
    for number, (inner, outer) in enumerate(edges, start=1):
        ring = (scale >= inner) & (scale < outer)
        name = f"ring {number} ({inner:g} to {outer:g} {_UNIT_NAMES[unit]})"
        if not ring.any():
            raise ValueError(
                f"{name} lies outside the detector or between its pixels; "
                f"the detector spans {scale.min():.4g} to {scale.max():.4g} {_UNIT_NAMES[unit]}."
            )
        overlapped = np.unique(labels[ring & (labels > 0)])
        if overlapped.size:
            raise ValueError(f"{name} overlaps ring {overlapped[0]}; let every ring end where the next begins.")
        ring &= usable
        if not ring.any():
            raise ValueError(f"{name} holds no pixel outside the mask; move the ring or loosen the mask.")
        labels[ring] = number
        means.append(float(q[ring].mean()))
    bounds = np.asarray(edges, float).reshape(-1, 2)
    bounds = bounds if unit == "1/A" else q_from_radius(geometry, bounds)
    return Rois(labels, np.array(means), bounds[:, 0], bounds[:, 1])


_UNIT_NAMES = {"1/A": "1/Å", "pixel": "pixels"}
