"""Errors that hold: how far the truth really lies from the predicted rate, by level and predicted relative error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from frame_denoiser.balance import balanced
from frame_denoiser.network import FrameNetwork
from frame_denoiser.simulation import SimulatedFrame
from frame_denoiser.tiles import posterior_of_frame

Array = NDArray[np.float32]

LEVELS = np.linspace(-3.5, 3.5, 8)
"""Centres of the bins of log10 of the rate, counts per pixel."""

PRECISIONS = np.linspace(-2.5, 0.5, 7)
"""Centres of the bins of log10 of the relative error that the network predicts."""

FEWEST = 2000
"""Pixels of a bin below which it takes the numbers of all."""

BELIEVED = 4.0
"""Difference from the network, in its own and counting errors, up to which a raw count may correct it: not a hit."""


@dataclass(frozen=True)
class Calibration:
    """What is done to the posterior of the network, by bins of level and predicted relative error.

    Tables have the shape (len(LEVELS), len(PRECISIONS)); they are bilinear in between and constant outside.

    Attributes
    ----------
    factors : what predicted errors are multiplied with
    shares : of the raw count in the rate; 0 is the network alone
    """

    factors: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> "Calibration":
        """From the card of a version; without any change where it has none."""
        shape = (len(LEVELS), len(PRECISIONS))
        given = card.get("calibration")
        if given is None:
            return cls(np.ones(shape), np.zeros(shape))
        return cls(*(np.asarray(given[name], np.float64).reshape(shape) for name in ("factors", "shares")))

    def document(self) -> dict[str, list[list[float]]]:
        """For the card."""
        return {name: [[float(f"{one:.4g}") for one in row] for row in table] for name, table in vars(self).items()}

    def apply(self, counts: Array, mask: NDArray[np.bool_], log_mean: Array, log_shape: Array) -> tuple[Array, Array]:
        """Rate and standard error (H, W).

        Parameters
        ----------
        counts : (H, W), raw counts
        mask : (H, W), True where usable
        log_mean, log_shape : (H, W), posterior of the network
        """
        places = _places(log_mean, log_shape)
        factor = map_coordinates(self.factors, places, order=1, mode="nearest")
        share = map_coordinates(self.shares, places, order=1, mode="nearest")
        rate = np.exp(log_mean)
        known = believed(counts, mask, log_mean, log_shape)
        rate = np.asarray(rate + np.where(known, share, 0) * (counts - rate), np.float32)
        return balanced(counts, rate, known), np.asarray(np.exp(log_mean - log_shape / 2) * factor, np.float32)


def believed(counts: Array, mask: NDArray[np.bool_], log_mean: Array, log_shape: Array) -> NDArray[np.bool_]:
    """Usable pixels whose raw count may correct the rate: those that do not look like spurious hits."""
    rate = np.exp(log_mean)
    spread = np.sqrt(rate + (rate * np.exp(-log_shape / 2)) ** 2)
    return np.asarray(mask & (np.abs(counts - rate) < BELIEVED * spread))


def calibrate(network: FrameNetwork, frames: Iterable[SimulatedFrame]) -> Calibration:
    """Tables from frames that the network was not trained on.

    Notes
    -----
    The share w of raw counts n in the rate m + w (n - m) is the one with the smallest mean square error, relative to m:
    where the network is exact w is 0, where it knows less than the counts it comes near 1. The factor of the errors is
    then the geometric mean of the two that put 68.3 % of the true rates within one error, and 95 % within 1.96 errors.
    Only usable pixels count.
    """
    columns = [_samples(network, frame) for frame in frames]
    level, precision, truth, count = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    shape = (len(LEVELS), len(PRECISIONS))
    bins = np.zeros(len(level), np.int64)
    for place, length in zip(_grid(level, precision), shape, strict=True):
        bins = bins * length + np.clip(np.rint(place), 0, length - 1).astype(np.int64)
    everything = np.ones(len(level), np.bool_)
    factors, shares = np.empty(shape), np.empty(shape)
    for number, (i, j) in enumerate(np.ndindex(*shape)):
        inside = bins == number
        inside = inside if inside.sum() >= FEWEST else everything
        share = _share(truth[inside], count[inside]) if inside is not everything else 0.0
        off = np.abs(truth[inside] - share * count[inside]) / 10 ** precision[inside]
        one, two = np.quantile(off, [0.683, 0.95])
        shares[i, j], factors[i, j] = share, np.sqrt(one * two / 1.96)
    return Calibration(factors, shares)


def _samples(network: FrameNetwork, frame: SimulatedFrame) -> tuple[NDArray[np.float64], ...]:
    """Of a quarter of the usable pixels: logarithms of level and relative error, (truth - m) / m and (count - m) / m.

    Counts that may not correct the rate are m.
    """
    counts = frame.counts.astype(np.float32)
    log_mean, log_shape = posterior_of_frame(network, counts, frame.mask)
    trusted = believed(counts, frame.mask, log_mean, log_shape)
    part = (slice(None, None, 2), slice(None, None, 2))
    usable = frame.mask[part]
    mean = np.exp(log_mean[part][usable].astype(np.float64))
    level, precision = np.log10(mean), -log_shape[part][usable] / (2 * np.log(10))
    truth = frame.rate[part][usable] / mean - 1
    return level, precision, truth, np.where(trusted[part][usable], counts[part][usable] / mean - 1, 0.0)


def _share(truth: NDArray[np.float64], count: NDArray[np.float64]) -> float:
    """Share of the counts with the smallest mean square error; single far pixels are left out of the choice."""
    near = np.abs(truth) < np.quantile(np.abs(truth), 0.99)
    square = float((count[near] ** 2).sum())
    share = float((count[near] * truth[near]).sum()) / square if square > 0 else 0.0
    return float(np.clip(share, 0.0, 1.0))


def _places(log_mean: Array, log_shape: Array) -> list[NDArray[np.float64]]:
    return _grid(log_mean / np.log(10), -log_shape / (2 * np.log(10)))


def _grid(level: NDArray[np.floating], precision: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    """Places of pixels in the tables, in steps."""
    return [
        np.asarray((values - centres[0]) / (centres[1] - centres[0]), np.float64)
        for values, centres in ((level, LEVELS), (precision, PRECISIONS))
    ]
