"""From pixels to momentum transfer."""

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.types import Geometry


def radius_map(geometry: Geometry, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Distance of each pixel's centre from the beam centre.

    Parameters
    ----------
    geometry : beam centre in pixels
    shape : (H, W)

    Returns
    -------
    (H, W) array, pixels

    Examples
    --------
    >>> radius_map(Geometry(0.0, 0.0, 1.0, 1.0, 1e-4, 1.0), (1, 3))
    array([[0., 1., 2.]])
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    radius: NDArray[np.float64] = np.hypot(rows - geometry.beam_center_y, columns - geometry.beam_center_x)
    return radius


def angle_map(geometry: Geometry, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Angle of each pixel of an (H, W) detector around the beam centre, -180 to 180 degrees.

    It counts from the direction of rising columns towards rising rows, as pyCHX and scikit-beam have it:
    counter-clockwise in pictures whose first row is at the bottom.

    Examples
    --------
    >>> angle_map(Geometry(0.0, 0.0, 1.0, 1.0, 1e-4, 1.0), (2, 2))
    array([[ 0.,  0.],
           [90., 45.]])
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    angle: NDArray[np.float64] = np.degrees(np.arctan2(rows - geometry.beam_center_y, columns - geometry.beam_center_x))
    return angle


def q_map(geometry: Geometry, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Momentum transfer of each pixel of an (H, W) detector that stands across the beam, 1/Å; see `q_from_radius`."""
    return q_from_radius(geometry, radius_map(geometry, shape))


def q_from_radius(geometry: Geometry, radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Momentum transfer at a radius in pixels.

    Returns
    -------
    array of the same shape, 1/Å

    Notes
    -----
    q = 4π/λ sin(θ/2) with the scattering angle θ = atan(radius × pixel / distance).
    """
    angle = np.arctan(np.asarray(radius) * geometry.pixel_size_m / geometry.distance_m)
    q: NDArray[np.float64] = 4 * np.pi / geometry.wavelength_angstrom * np.sin(angle / 2)
    return q


def radius_from_q(geometry: Geometry, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius in pixels at a momentum transfer in 1/Å; the way back from `q_from_radius`.

    Raises
    ------
    ValueError
        If a q cannot reach a flat detector across the beam.
    """
    sine = np.asarray(q) * geometry.wavelength_angstrom / (4 * np.pi)
    if np.any(sine >= np.sin(np.pi / 4)):
        raise ValueError(f"q is {np.max(q):g} 1/Å, expected an angle below 90° at {geometry.wavelength_angstrom:g} Å.")
    radius: NDArray[np.float64] = np.tan(2 * np.arcsin(sine)) * geometry.distance_m / geometry.pixel_size_m
    return radius
