"""Pixels that fluctuate by themselves: flickering, drifting, with bursts of counts, though their mean may be sound."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts

NEIGHBOURS = 300
FEWEST_NEIGHBOURS = 10
SCATTER = 8.0
TIMES_CONTRAST = 4.0
SHOT_NOISE = 6.0
_TILE = 4096


def find_noisy_pixels(
    counts: NDArray[Any],
    rois: list[NDArray[np.intp]],
    radius: NDArray[np.float64],
    bad: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Pixels whose counts vary far more with time than those of their neighbours.

    Parameters
    ----------
    counts : (N, P) array
    rois : columns of each ROI in `counts`, those of sound pixels
    radius : (P,) distance from the beam centre, pixels
    bad : (N,) array, True where a frame is left out

    Returns
    -------
    (P,) bool, True where a pixel is noisy

    Notes
    -----
    A pixel of mean m and variance v over time has the excess e = (v/m - F)/m, where counting alone makes v/m = F: 1 for
    photons, more in other units, by the quietest tenth of its neighbours. Speckle has an excess up to its contrast, and
    slow speckle, of which the scan shows few fluctuations, scatters around that. A pixel is noisy only where e exceeds
    both 4 times the contrast of its neighbours (over pixels and frames) and their median by 8 times the distance from
    there to the upper quartile; and by more than counting can: of M = (N m/F)²/2N expected pairs of photons in one
    frame, 6 √((1 + limit) M) + 6²/6 must be too many (Bernstein's bound). Neighbours are some 300 pixels of one ROI at
    one radius.
    """
    n_frames = int(np.count_nonzero(~bad))
    noisy = np.zeros(counts.shape[1], bool)
    if n_frames < 2:
        return noisy
    total, squares = _sums(counts, ~bad)
    for own in rois:
        order = own[np.argsort(radius[own], kind="stable")]
        for alike in np.array_split(order, max(1, len(order) // NEIGHBOURS)):
            noisy[alike] = _stand_out(total[alike], squares[alike], n_frames)
    return noisy


def _stand_out(total: NDArray[np.float64], squares: NDArray[np.float64], n_frames: int) -> NDArray[np.bool_]:
    """Which of these neighbours vary too much."""
    counting = total > 0
    noisy = np.zeros(len(total), bool)
    if np.count_nonzero(counting) < FEWEST_NEIGHBOURS:
        return noisy
    mean = total[counting] / n_frames
    own_fano = squares[counting] / total[counting] - mean
    fano = max(1.0, float(np.quantile(own_fano, 0.1)))
    excess = (own_fano - fano) / mean
    middle, upper = np.quantile(excess, [0.5, 0.75])
    whole = float(mean.mean())
    contrast = float((squares[counting] / n_frames).mean()) / whole**2 - 1 - 1 / whole
    limit = max(float(middle + SCATTER * (upper - middle)), TIMES_CONTRAST * contrast, 0.0)
    pairs = (total[counting] / fano) ** 2 / (2 * n_frames)
    chance = SHOT_NOISE * np.sqrt((1 + limit) * pairs) + SHOT_NOISE**2 / 6
    noisy[counting] = (excess - limit) * pairs > chance
    return noisy


def _sums(counts: NDArray[Any], sound: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of counts and of their squares over sound frames, (P,) each; exact as long as they stay below 2^53."""
    total, squares = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    rows = np.flatnonzero(sound)
    in_parts(counts.shape[1], lambda first, end: _add_up(counts, rows, total, squares, first, end))
    return total, squares


def _add_up(
    counts: NDArray[Any],
    rows: NDArray[np.intp],
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
    first: int,
    end: int,
) -> None:
    """Sums of pixels `first` to `end`, a tile at a time so that it stays in the cache."""
    for start in range(first, end, _TILE):
        length = min(_TILE, end - start)
        own_total, own_squares = total[start : start + length], squares[start : start + length]
        for frame in rows:
            row = counts[frame, start : start + length]
            for k in range(length):
                count = np.float64(row[k])
                own_total[k] += count
                own_squares[k] += count * count


_add_up = compiled(_add_up)
