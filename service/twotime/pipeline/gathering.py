"""Reading all frames once, and finding on the way which of them are not what they should be."""

import hashlib
import tempfile
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twotime.errors import DamagedFrames, UnusableRun
from twotime.pipeline.planning import Plan
from twotime.pipeline.protocols import Block, FrameSource, Progress
from twotime.xpcs.mask import FrameStatistics, saturation_value
from twotime.xpcs.pixels import CountMatrix, RoiPixels
from twotime.xpcs.products import row_sums

TELLING_COUNTS = 30
"""Two frames of this many counts or more never hold the same ones in all pixels by chance."""
UNPACKED_FRAMES = 8
"""So many packed frames are unpacked at a time where whole frames are summed."""
IN_MEMORY_BYTES = 4 * 2**30
"""Counts of more than this lie in a temporary file: 20,000 frames of 500,000 ROI pixels are 10 GB."""


@dataclass(frozen=True)
class Gathered:
    """All frames, before anything is masked.

    Attributes
    ----------
    pixels : the ROIs' pixels and their order
    counts : (N, P)
    statistics : of all sound frames, in the analysis frame
    frame_number : (N,), number in the run
    frame_sum : (N,), counts of each whole frame but marks of saturation; zeros where no flux is asked for
    damaged : (N,), True where a frame is missing, cannot be read, or repeats an earlier one
    repeated : number of frames that repeat earlier ones
    warnings : sentences for the reader
    """

    pixels: RoiPixels
    counts: NDArray[Any]
    statistics: FrameStatistics
    frame_number: NDArray[np.int64]
    frame_sum: NDArray[np.float64]
    damaged: NDArray[np.bool_]
    repeated: int
    warnings: list[str]


class PixelStore(Protocol):
    """Where gathered pixels are kept between two analyses of one run."""

    def find(self, plan: Plan) -> Gathered | None:
        """What was kept of the frames of a plan, where that holds the pixels of all its ROIs."""
        ...

    def keep(self, plan: Plan, gathered: Gathered) -> None:
        """Keep what was gathered for a plan."""
        ...


class Gathering:
    """Takes the frames of a plan as they come.

    Parameters
    ----------
    plan : which frames, and the pixels of which ROIs

    Attributes
    ----------
    rows : (N,), True where a frame was taken
    """

    def __init__(self, plan: Plan) -> None:
        frames = plan.resolved.recipe.frames
        self._plan = plan
        self._start, self._stride = frames.start, frames.stride
        self._pixels = RoiPixels(plan.rois.labels, plan.resolved.orientation)
        self._matrix = CountMatrix(plan.n_frames, self._pixels, _room)
        self._statistics = FrameStatistics()
        self._sums = np.zeros(plan.n_frames) if plan.resolved.recipe.normalisation == "flux" else None
        self.rows = np.zeros(plan.n_frames, bool)
        self._types: dict[str, int] = {}
        self._warnings: list[str] = []

    @property
    def counts(self) -> NDArray[Any]:
        """Counts (N, P) so far, zero in rows that are still to come."""
        return self._matrix.values

    @property
    def pixels(self) -> RoiPixels:
        """The ROIs' pixels and their order."""
        return self._pixels

    def statistics(self) -> FrameStatistics:
        """Of all frames so far, in the analysis frame."""
        return self._statistics.oriented(self._plan.resolved.orientation)

    def take(self, first: int, block: Block) -> int:
        """Take in frames (k, H, W), the first of which has number `first` in the run; returns the row behind them.

        Raises
        ------
        DamagedFrames
            At the first frame that cannot be unpacked; those before it have been taken in.
        """
        row = (first - self._start) // self._stride
        self._types.setdefault(str(block.dtype), first)
        if isinstance(block, np.ndarray):
            last = row + len(block)
            self._statistics.accumulate(block)
            self._matrix.fill(row, block)
        else:
            last = row + block.count(self._statistics, self._matrix, row)
        if self._sums is not None:
            for start in range(0, last - row, UNPACKED_FRAMES):
                own = slice(start, min(start + UNPACKED_FRAMES, last - row))
                frames = block[own] if isinstance(block, np.ndarray) else block.unpacked(own)
                self._sums[row + own.start : row + own.stop] = _sums(frames)
        self.rows[row:last] = True
        if last < row + len(block) and not isinstance(block, np.ndarray):
            number = self._start + last * self._stride
            raise DamagedFrames(f"the detector file {block.name} is damaged at frame {number}.", number, number + 1)
        return last

    def leave_out(self, damage: DamagedFrames) -> int:
        """Take note of frames that cannot be read; returns the number of the frame to go on with."""
        self._warnings.append(f"{_frames(damage.first, damage.stop)} left out: {damage}")
        steps = max(1, -(-(damage.stop - self._start) // self._stride))
        return self._start + steps * self._stride

    def gathered(self, plan: Plan | None = None) -> Gathered:
        """Everything that was taken.

        Parameters
        ----------
        plan : that of the whole run, where it holds fewer frames than were planned for; the same ROIs

        Raises
        ------
        DamagedFrames
            If frames repeat others and the recipe says to stop.
        UnusableRun
            If no frame was taken.
        """
        plan = plan or self._plan
        n, uid = plan.n_frames, plan.facts.uid[:8]
        sound = self.rows[:n]
        frame_number = self._start + self._stride * np.arange(n)
        warnings = [*self._warnings]
        if not sound.any():
            raise UnusableRun(f"No frame of run {uid} can be read. {' '.join(warnings[:1])}")
        counts = self._matrix.values[:n]
        repeated = _repeated(counts, sound)
        if repeated.any():
            sentence = _repetition(frame_number, repeated, plan)
            if plan.resolved.recipe.frames.on_damage == "stop":
                first = int(frame_number[np.argmax(repeated)])
                raise DamagedFrames(sentence, first, first + 1)
            warnings.append(sentence)
        if len(self._types) > 1:
            changes = ", ".join(f"{name} from frame {first}" for name, first in self._types.items())
            warnings.append(
                f"The type of the counts changes within the run ({changes}); saturation was judged by each."
            )
        return Gathered(
            pixels=self._pixels,
            counts=counts,
            statistics=self.statistics(),
            frame_number=frame_number,
            frame_sum=np.zeros(n) if self._sums is None else self._sums[:n],
            damaged=~sound | repeated,
            repeated=int(np.count_nonzero(repeated)),
            warnings=_shortened(warnings),
        )


def gather(source: FrameSource, plan: Plan, progress: Progress) -> Gathered:
    """Read the frames of a plan.

    Raises
    ------
    DamagedFrames
        If frames are damaged or repeated and the recipe says to stop.
    UnusableRun
        If no frame can be read.
    """
    frames = plan.resolved.recipe.frames
    assert frames.stop is not None
    gathering = Gathering(plan)
    progress("reading", 0.0)
    position = frames.start
    while position < frames.stop:
        try:
            for first, block in source.blocks(position, frames.stop, frames.stride):
                progress("reading", gathering.take(first, block) / plan.n_frames)
            break
        except DamagedFrames as damage:
            if frames.on_damage == "stop":
                raise
            position = max(gathering.leave_out(damage), position + frames.stride)
    return gathering.gathered()


def _room(shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros; large ones in a file without a name, in memory as far as there is room, gone with the array."""
    if shape[0] * shape[1] * dtype.itemsize <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="twotime-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def _sums(block: NDArray[Any]) -> NDArray[np.float64]:
    mark = saturation_value(block.dtype)
    total = block.sum(axis=(1, 2), dtype=np.float64)
    if mark is None or not (block.reshape(len(block), -1).max(axis=1) == mark).any():
        return np.asarray(total, np.float64)
    marked = np.count_nonzero(block == mark, axis=(1, 2))
    return np.asarray(total - float(mark) * marked, np.float64)


def _repeated(counts: NDArray[Any], sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frames hold the very counts of an earlier one."""
    repeated = np.zeros(len(counts), bool)
    telling = sound & (row_sums(counts) >= TELLING_COUNTS)
    seen: set[bytes] = set()
    for row in np.flatnonzero(telling):
        mark = hashlib.blake2b(np.ascontiguousarray(counts[row]).data, digest_size=12).digest()
        repeated[row] = mark in seen
        seen.add(mark)
    return repeated


def _repetition(frame_number: NDArray[np.int64], repeated: NDArray[np.bool_], plan: Plan) -> str:
    numbers = frame_number[repeated]
    per_file = plan.facts.frames_per_file
    where = f"frames {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"frame {numbers[0]}"
    files = f" (detector files hold {per_file} each)" if per_file else ""
    return (
        f"{len(numbers)} of {len(frame_number)} frames repeat earlier ones, {where}{files}, and were left out: "
        "somewhere on the way a detector file was read more than once; tell whoever runs the Tiled server, "
        "or make the files reachable from here (TWOTIME_READ_IN_PLACE, TWOTIME_PATH_MAP)."
    )


def _frames(first: int, stop: int) -> str:
    return f"Frame {first} was" if stop - first == 1 else f"Frames {first} to {stop - 1} were"


def _shortened(warnings: list[str], most: int = 20) -> list[str]:
    if len(warnings) <= most:
        return warnings
    return [*warnings[:most], f"... and {len(warnings) - most} more."]
