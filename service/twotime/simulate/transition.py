"""A temperature series of diffraction frames: a weak satellite beside a Bragg peak appears below a transition."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Gap = tuple[int, int]


@dataclass(frozen=True)
class TransitionModel:
    """Diffraction frames of a crystal whose charge order melts.

    Attributes
    ----------
    shape : (H, W), pixels
    temperatures : of the frames, K
    transition : temperature at which the satellite vanishes, K
    satellite_counts : of the satellite in one frame far below the transition
    satellite : row and column of its middle, pixels
    satellite_sigma : its standard deviation along both axes, pixels
    background : counts per pixel and frame, far from the Bragg peak
    bragg : row and column of the Bragg peak, pixels
    bragg_counts : of the Bragg peak in one frame
    gap_rows, gap_columns : between the modules of the detector
    seed : of the counts

    Notes
    -----
    The counts of the satellite follow the square of a mean-field order parameter, 1 - T / transition below the
    transition and 0 above.
    """

    shape: tuple[int, int] = (160, 200)
    temperatures: tuple[float, ...] = tuple(float(t) for t in np.linspace(40, 132, 24))
    transition: float = 96.0
    satellite_counts: float = 140.0
    satellite: tuple[float, float] = (104.0, 128.0)
    satellite_sigma: float = 4.0
    background: float = 0.12
    bragg: tuple[float, float] = (52.0, 60.0)
    bragg_counts: float = 4000.0
    gap_rows: Gap = (76, 80)
    gap_columns: Gap = (148, 150)
    seed: int = 14

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """(H, W), False in the gaps."""
        mask = np.ones(self.shape, bool)
        mask[slice(*self.gap_rows)] = False
        mask[:, slice(*self.gap_columns)] = False
        return mask

    def satellite_share(self, temperature: float) -> float:
        """Counts of the satellite at a temperature, in units of `satellite_counts`."""
        return max(0.0, 1 - temperature / self.transition)

    def rates(self) -> NDArray[np.float64]:
        """Expected counts (F, H, W) of all frames."""
        row, column = np.ogrid[: self.shape[0], : self.shape[1]]
        from_bragg = np.hypot(row - self.bragg[0], column - self.bragg[1])
        # A sharp peak on its thermal diffuse scattering, whose wings fall with the square of the distance.
        sharp = _gaussian(from_bragg, 2.2) * self.bragg_counts
        diffuse = self.background * (1 + 60 / (1 + (from_bragg / 6) ** 2))
        own = np.hypot(row - self.satellite[0], column - self.satellite[1])
        satellite = _gaussian(own, self.satellite_sigma) * self.satellite_counts
        shares = np.array([self.satellite_share(one) for one in self.temperatures])
        rates: NDArray[np.float64] = (sharp + diffuse)[None] + shares[:, None, None] * satellite
        return rates

    def frames(self) -> NDArray[np.uint16]:
        """Counts (F, H, W); the largest number of the type in the gaps, by which detectors mark them."""
        counts = np.random.default_rng(self.seed).poisson(self.rates()).astype(np.uint16)
        counts[:, ~self.usable] = np.iinfo(np.uint16).max
        return counts


def _gaussian(distance: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Two-dimensional normal density."""
    density: NDArray[np.float64] = np.exp(-(distance**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return density
