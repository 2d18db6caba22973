"""What real detectors and beams add to perfect frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Defects:
    """Flaws of detector and beam.

    Attributes
    ----------
    gap_rows, gap_columns : first and one past the last row or column of each gap between modules
    dead : number of pixels that never count
    hot : number of pixels that count far too much
    lost_frames : frames in which the beam was gone to 5 %
    spike_frames : frames with three times the intensity, as far as the type holds it
    seed : of the places of dead and hot pixels
    """

    gap_rows: tuple[tuple[int, int], ...] = ()
    gap_columns: tuple[tuple[int, int], ...] = ()
    dead: int = 0
    hot: int = 0
    lost_frames: tuple[int, ...] = ()
    spike_frames: tuple[int, ...] = ()
    seed: int = 0


def with_defects(frames: NDArray[np.uint16], defects: Defects) -> NDArray[np.uint16]:
    """Frames (N, H, W) with the defects built in; gaps carry the largest value of the type, as an Eiger writes them."""
    rng = np.random.default_rng(defects.seed)
    flawed = frames.copy()
    for frame in defects.lost_frames:
        flawed[frame] = rng.binomial(flawed[frame], 0.05)
    for frame in defects.spike_frames:
        flawed[frame] = np.minimum(3 * flawed[frame].astype(np.uint32), np.iinfo(flawed.dtype).max - 1)
    places = rng.choice(frames[0].size, defects.dead + defects.hot, replace=False)
    rows, columns = np.unravel_index(places, frames.shape[1:])
    flawed[:, rows[: defects.dead], columns[: defects.dead]] = 0
    flawed[:, rows[defects.dead :], columns[defects.dead :]] = rng.poisson(500, (len(frames), defects.hot))
    for first, last in defects.gap_rows:
        flawed[:, first:last] = np.iinfo(flawed.dtype).max
    for first, last in defects.gap_columns:
        flawed[:, :, first:last] = np.iinfo(flawed.dtype).max
    return flawed


def with_flux(frames: NDArray[np.uint16], flux: NDArray[np.floating], seed: int = 0) -> NDArray[np.uint16]:
    """Frames (N, H, W) as a beam of changing flux gives them: each count is kept with the probability `flux` (N,).

    Raises
    ------
    ValueError
        If a flux is not from 0 to 1, or there is not one for each frame.
    """
    if flux.shape != frames.shape[:1] or not ((flux >= 0) & (flux <= 1)).all():
        raise ValueError(f"flux has the shape {flux.shape}, expected {frames.shape[:1]} with values from 0 to 1.")
    kept: NDArray[np.uint16] = np.random.default_rng(seed).binomial(frames, flux[:, None, None]).astype(frames.dtype)
    return kept
