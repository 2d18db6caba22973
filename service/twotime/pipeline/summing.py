"""From the frames of a run to sums of consecutive frames, with the pixels that cannot be used."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twotime.errors import DamagedFrames, UnusableRun
from twotime.pipeline.frame_planning import FramePlan
from twotime.pipeline.pixel_counts import PixelCounts, unpacked
from twotime.pipeline.protocols import Block, FrameSource, Progress


@dataclass(frozen=True)
class SummedFrames:
    """Sums of consecutive frames.

    Attributes
    ----------
    counts : (F, H, W) in the analysis frame; 0 where masked
    number : (F,) number in the run of the first frame of each sum
    summed : (F,) how many frames were added, fewer than asked for where some were damaged or excluded
    rows : (F,) which sum of the plan each one is
    mask : (H, W), True where a pixel can be used
    warnings : sentences for the reader
    """

    counts: NDArray[np.uint32]
    number: NDArray[np.int64]
    summed: NDArray[np.int64]
    rows: NDArray[np.int64]
    mask: NDArray[np.bool_]
    warnings: list[str]

    @property
    def mean(self) -> NDArray[np.float32]:
        """(H, W), counts per frame of the run."""
        total = self.counts.sum(axis=0, dtype=np.float64)
        return np.asarray(total / self.summed.sum(), np.float32)


def sum_frames(source: FrameSource, plan: FramePlan, progress: Progress) -> SummedFrames:
    """Read the frames of a plan once and add them up.

    Raises
    ------
    UnusableRun
        If no frame can be read, no pixel can be used, or all frames are zero.
    RecipeError
        If the frames hold numbers that are no counts, and the recipe has no gain.
    DamagedFrames
        If frames are damaged and the recipe says to stop.
    """
    frames, uid = plan.resolved.recipe.frames, plan.facts.uid[:8]
    adding = _Adding(plan)
    end = frames.start + plan.n_taken * frames.stride
    position = frames.start
    progress("reading", 0.0)
    while position < end:
        try:
            for first, block in source.blocks(position, min(end, frames.stop or end), frames.stride):
                adding.take(first, block)
                progress("reading", adding.n_read / plan.n_taken)
            break
        except DamagedFrames as damage:
            if frames.on_damage == "stop":
                raise
            position = max(adding.leave_out(damage), position + frames.stride)
    there = np.flatnonzero(adding.summed)
    if not there.size:
        raise UnusableRun(f"No frame of run {uid} can be used. {' '.join(adding.warnings[:1])}")
    total = adding.counts.sum(axis=0, dtype=np.float64)
    mask = adding.pixels.mask(total, max(int(adding.summed.sum()), 1), source.pixel_mask())
    if not mask.any():
        raise UnusableRun(f"No pixel of run {uid} can be used after the mask; loosen masks in the recipe.")
    counts = adding.counts if there.size == plan.n_frames else adding.counts[there]
    counts[:, ~mask] = 0
    if not counts.any():
        raise UnusableRun(f"All frames of run {uid} are zero; check the shutter and the detector.")
    number = frames.start + there * frames.sum * frames.stride
    return SummedFrames(counts, number, adding.summed[there], there, mask, _sentences(plan, adding))


class _Adding:
    """Takes the frames of a plan as they come."""

    def __init__(self, plan: FramePlan) -> None:
        self._frames = plan.resolved.recipe.frames
        self.pixels = PixelCounts(plan)
        self.counts = np.zeros((plan.n_frames, *plan.mask.shape), np.uint32)
        self.summed = np.zeros(plan.n_frames, np.int64)
        self.n_read = 0
        self.warnings: list[str] = []

    def take(self, first: int, block: Block) -> None:
        """Add frames (k, H, W), the first of which has the number `first` in the run."""
        row = (first - self._frames.start) // self._frames.stride
        for part in unpacked(block, first, self._frames.stride):
            for frame in part:
                number = self._frames.start + row * self._frames.stride
                if number not in self._frames.exclude:
                    self.counts[row // self._frames.sum] += self.pixels.counts(frame, number)
                    self.summed[row // self._frames.sum] += 1
                row += 1
        self.n_read = row

    def leave_out(self, damage: DamagedFrames) -> int:
        """Take note of frames that cannot be read; returns the number of the frame to go on with."""
        one = damage.stop - damage.first == 1
        which = f"Frame {damage.first}" if one else f"Frames {damage.first} to {damage.stop - 1}"
        self.warnings.append(f"{which} could not be read: {damage}")
        steps = max(1, -(-(damage.stop - self._frames.start) // self._frames.stride))
        return self._frames.start + steps * self._frames.stride


def _sentences(plan: FramePlan, adding: _Adding) -> list[str]:
    frames = plan.resolved.recipe.frames
    short = int(np.count_nonzero((adding.summed > 0) & (adding.summed < frames.sum)))
    gone = int(np.count_nonzero(adding.summed == 0))
    found = adding.warnings[:20]
    if short:
        found.append(f"{short} sums hold fewer than {frames.sum} frames; their counts are not scaled up.")
    if gone:
        found.append(f"{gone} of {plan.n_frames} sums hold no frame and were left out.")
    return found
