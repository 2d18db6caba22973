"""The whole two-time correlation function, denoised at several scales.

A window of the models sees 50 lags. On means over blocks of s frames it sees 50 s of them, with less noise, so each lag
is taken from the scale at which it lies well inside a window. Scales halve the number of blocks; the last is one window
over the whole scan.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

FIRST_STEP = 1.75
"""Blocks of the scale after single frames are at least this long: shorter ones would show the same at the same cost."""
SOUND_SHARE = 0.25
"""Of the pairs of frames in two blocks that must be sound."""
HANDOVER = (14.0, 46.0)
"""Lags of a scale, in its own blocks, over which the next one takes over: before the end of its windows."""
FASTEST = 0.25
"""Rate per block beyond which a scale sees no decay, only what is left of it: the mean over age is better there."""
SMOOTHING = 0.12
"""Share of a lag over which means over age are averaged with their neighbours."""

Band = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Values and spreads (n, W): element [i, lag] belongs to blocks i and i + lag; NaN where there is nothing."""


@dataclass(frozen=True)
class Blocks:
    """Sums over pairs of frames in two blocks, without the products of frames with themselves.

    Attributes
    ----------
    sums, pairs : (n, n)
    size : frames of a block, may be a fraction
    """

    sums: NDArray[np.float64]
    pairs: NDArray[np.float64]
    size: float

    @classmethod
    def of_frames(cls, c2: NDArray[np.float32], number: int) -> "Blocks":
        """`number` blocks of one length; a frame on an edge counts for both, in part."""
        share = _shares(len(c2), number)
        sound = np.isfinite(c2)
        filled = np.where(sound, c2, np.float32(0))
        np.fill_diagonal(filled, 0)  # Shot noise of a frame with itself.
        np.fill_diagonal(sound, False)
        sums = share @ (share @ filled).T
        pairs = share @ (share @ sound.astype(np.float32)).T
        return cls(np.asarray(sums, float), np.asarray(pairs, float), len(c2) / number)

    def halved(self) -> "Blocks":
        """Blocks twice as long."""
        n = len(self.sums) // 2
        sums, pairs = (part.reshape(n, 2, n, 2).sum(axis=(1, 3)) for part in (self.sums, self.pairs))
        return Blocks(sums, pairs, 2 * self.size)

    @property
    def two_time(self) -> NDArray[np.float32]:
        """Means (n, n); NaN where too few pairs are sound."""
        enough = self.pairs > SOUND_SHARE * self.size**2
        mean = np.divide(self.sums, self.pairs, out=np.full_like(self.sums, np.nan), where=enough)
        return mean.astype(np.float32)


def block_numbers(n_frames: int, window: int) -> list[int]:
    """How many blocks each scale beyond single frames has, the finest first.

    Examples
    --------
    >>> block_numbers(1000, 50), block_numbers(90, 50), block_numbers(60, 50)
    ([400, 200, 100, 50], [50], [50])
    """
    if n_frames <= window:
        return []
    numbers = [window]
    while n_frames / (2 * numbers[0]) >= FIRST_STEP:
        numbers.insert(0, 2 * numbers[0])
    return numbers


def whole_triangle(
    c2: NDArray[np.float32],
    finest: Band,
    denoise: Callable[[NDArray[np.float32], float], Band],
    rate_per_frame: float | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Put the scales together.

    Parameters
    ----------
    c2 : (N, N), NaN in the rows and columns of bad frames
    finest : the band of single frames, denoised
    denoise : gives the denoised band of a coarser two-time correlation function, whose size of blocks it is told
    rate_per_frame : a first guess; None: unknown

    Returns
    -------
    (N, N) values and spread, NaN for bad frames, and (N,) the scale of each lag: frames per block, a mean where two
    scales have a share.
    """
    n_frames, window = len(c2), finest[0].shape[1]
    bands, sizes = [finest], [1.0]
    blocks: Blocks | None = None
    for number in block_numbers(n_frames, window):
        blocks = Blocks.of_frames(c2, number) if blocks is None else blocks.halved()
        coarse = blocks.two_time
        over = rate_per_frame is not None and rate_per_frame * blocks.size > FASTEST
        bands.append(means_over_age(coarse, window) if over else denoise(coarse, blocks.size))
        sizes.append(blocks.size)
    bands = [tuple(_filled(part) for part in band) for band in bands]  # type: ignore[misc]  # of two
    values, spread = np.empty_like(c2), np.empty_like(c2)
    scale = np.zeros(n_frames, np.float32)
    for lag in range(n_frames):
        shares = _shares_of_scales(lag, np.array(sizes))
        own = [(share, size, band) for share, size, band in zip(shares, sizes, bands, strict=True) if share > 0]
        rows = np.arange(n_frames - lag)
        for part, out in ((0, values), (1, spread)):
            mixed = sum(share * _at_lag(band[part], lag, size, n_frames) for share, size, band in own)
            out[rows, rows + lag] = out[rows + lag, rows] = mixed
        scale[lag] = sum(share * size for share, size, _ in own)
    gaps = np.isnan(c2)
    values[gaps] = spread[gaps] = np.nan
    return values, spread, scale


def means_over_age(c2: NDArray[np.float32], window: int) -> Band:
    """Each lag by its mean over age and neighbouring lags, with its standard error, at all ages."""
    n = len(c2)
    means, errors = np.full(window, np.nan), np.full(window, np.nan)
    for lag in range(min(window, n)):
        near = min(round(SMOOTHING * lag), n - 1 - lag)
        lags = np.arange(lag - near, lag + near + 1)
        diagonals = [np.diagonal(c2, one)[np.isfinite(np.diagonal(c2, one))] for one in lags]
        number = np.array([len(one) for one in diagonals])
        if not number.any():
            continue
        known = np.concatenate(diagonals)
        # A line through the neighbours: shorter lags have more values and would draw a plain mean to themselves.
        place = np.repeat(lags - lag, number).astype(float)
        square = float(((place - place.mean()) ** 2).sum())
        slope = float((place - place.mean()) @ known) / square if square > 0 else 0.0
        means[lag] = known.mean() - slope * place.mean()
        errors[lag] = known.std() / np.sqrt(known.size) if known.size > 1 else np.nan
    return (np.tile(means, (n, 1)).astype(np.float32), np.tile(errors, (n, 1)).astype(np.float32))


def _shares(n_frames: int, number: int) -> csr_array:
    """How much (number, N) of each frame lies in each block."""
    edges = np.arange(number + 1) * n_frames / number
    first, last = np.floor(edges[:-1] + 1e-9).astype(int), np.ceil(edges[1:] - 1e-9).astype(int)
    rows = np.repeat(np.arange(number), last - first)
    frames = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    weight = np.minimum(frames + 1, edges[rows + 1]) - np.maximum(frames, edges[rows])
    return csr_array((weight.astype(np.float32), (rows, frames)), shape=(number, n_frames))


def _shares_of_scales(lag: int, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each scale has to say at a lag: each hands over to the next, smoothly in log lag."""
    passed = np.log(max(lag, 1) / (HANDOVER[0] * sizes[:-1])) / np.log(HANDOVER[1] / HANDOVER[0])
    x = np.clip(passed, 0, 1)
    on = x * x * (3 - 2 * x)
    shares: NDArray[np.float64] = np.concatenate([[1.0], np.cumprod(on)]) * np.concatenate([1 - on, [1.0]])
    return shares


def _at_lag(band: NDArray[np.float32], lag: int, size: float, n_frames: int) -> NDArray[np.float64]:
    """One diagonal (N - lag,) of frames from a band of blocks, linear in lag and age."""
    if size == 1.0:
        return np.asarray(band[: n_frames - lag, lag], float)
    age = (np.arange(n_frames - lag) + lag / 2 + 0.5) / size - 0.5
    short = min(int(lag / size), band.shape[1] - 1)
    long = min(short + 1, band.shape[1] - 1, len(band) - 1)
    over = lag / size - short if long > short else 0.0
    near, far = (
        np.interp(age - own / 2, np.arange(len(band) - own), band[: len(band) - own, own]) for own in (short, long)
    )
    return np.asarray((1 - over) * near + over * far, float)


def _filled(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """A band whose gaps within the triangle hold the mean of their lag, so that interpolation can cross them."""
    n, window = band.shape
    inside = np.arange(n)[:, None] + np.arange(window) < n
    known = np.isfinite(band) & inside
    total = np.where(known, band, 0).sum(axis=0, dtype=float)
    count = known.sum(axis=0)
    mean = np.divide(total, count, out=np.full(window, np.nan), where=count > 0)
    if np.isfinite(mean).any():  # A lag without any value takes that of the nearest one that has some.
        places = np.flatnonzero(np.isfinite(mean))
        mean = np.interp(np.arange(window), places, mean[places])
    filled: NDArray[np.float32] = np.where(known, band, mean.astype(np.float32))
    return filled
