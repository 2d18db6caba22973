"""One frame of a run, or the mean of its first frames, without an analysis."""

from typing import Any

import numpy as np
from databroker.client import BlueskyRun
from numpy.typing import NDArray

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.errors import InputError
from twotime.settings import Settings
from twotime.xpcs.orientation import Orientation, oriented

MOST_FRAMES = 10


def mean_of_frames(
    run: BlueskyRun,
    settings: Settings,
    *,
    frame: int | None = None,
    detector: str | None = None,
    orientation: Orientation | None = None,
) -> NDArray[np.float32]:
    """The mean of the first frames of a run, or one frame.

    Parameters
    ----------
    frame : number of the frame; None: the mean of the first `MOST_FRAMES`
    detector : image key; None: the detector that an analysis would use
    orientation : to the analysis frame; None: the default of the detector

    Returns
    -------
    (H, W) array in the analysis frame, counts; NaN where a pixel holds the saturation value of the detector.

    Raises
    ------
    InputError
        If there is no such frame.
    UnusableRun
        If the run holds no frames that can be read.
    """
    direct, path_map, folders = settings.read_in_place, settings.path_map, settings.detector_dirs
    facts = run_facts(run, detector, accept_failed=True, direct=direct, path_map=path_map, folders=folders)
    n_frames = facts.shape[0]
    if frame is not None and frame >= n_frames:
        raise InputError(f"frame is {frame}, but run {facts.uid[:8]} has the frames 0 to {n_frames - 1}.")
    source = TiledFrames(run, facts, direct, path_map, folders)
    start, stop = (0, min(MOST_FRAMES, n_frames)) if frame is None else (frame, frame + 1)
    total: Any = 0.0
    for _, block in source.blocks(start, stop):
        total = total + _valid(np.asarray(block)).sum(axis=0, dtype=np.float32)
    return oriented(np.asarray(total / (stop - start), np.float32), orientation or facts.orientation)


def _valid(block: NDArray[Any]) -> NDArray[Any]:
    """Counts as floats. The largest value of the integer type marks a pixel without a count."""
    counts = block.astype(np.float32)
    if np.issubdtype(block.dtype, np.unsignedinteger):
        counts[block == np.iinfo(block.dtype).max] = np.nan
    return counts
