"""What all files of frames have in common."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import DamagedFrames, UnusableRun
from twotime.files.chunks import ahead
from twotime.pipeline.protocols import Block, PackedBlock
from twotime.recipe import Found, RunFacts
from twotime.xpcs.orientation import Orientation

BLOCK_BYTES = 64 * 2**20
PACKED_BLOCKS = 8
"""So many times more frames are taken at once where they stay packed."""


def frames_at_once(facts: RunFacts, dtype: np.dtype[Any]) -> int:
    """How many frames of a run make a block."""
    _, height, width = facts.shape
    return max(1, BLOCK_BYTES // max(1, height * width * dtype.itemsize))


def in_blocks(
    frames: range,
    at_once: int,
    packed: Callable[[range], PackedBlock | None],
    sound: Callable[[range], Iterator[tuple[int, NDArray[Any]]]],
) -> Iterator[tuple[int, Block]]:
    """Frames as they stand in their files where they can be had so, and read where they cannot.

    Parameters
    ----------
    frames : numbers, with their stride
    at_once : of these to read; of packed ones there are more
    packed : the first few or all of the frames it is given, as they stand in a file; None where they are to be read
    sound : blocks of all frames it is given, up to the first damaged one
    """
    while frames:
        block = packed(frames[: PACKED_BLOCKS * at_once])
        if block is not None:
            yield frames[0], block
            frames = frames[len(block) :]
        else:
            yield from sound(frames[:at_once])
            frames = frames[at_once:]


class Series(ABC):
    """Frames in files, read in blocks; a `twotime.pipeline.FrameSource`.

    Parameters
    ----------
    path : for sentences, and for the uid
    shape : (N, H, W)
    dtype : of the counts
    geometry : what the files record
    detector : image key to go by
    orientation : from these frames to the analysis frame
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        geometry: dict[str, Found],
        detector: str,
        orientation: Orientation = "raw",
    ) -> None:
        if shape[0] == 0:
            raise UnusableRun(f"{path} holds no frames.")
        self.path = path
        self.dtype = dtype
        self.facts = RunFacts(
            uid=_uid(path), detector=detector, shape=shape, sample=path.stem, geometry=geometry, orientation=orientation
        )

    @abstractmethod
    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W); raises OSError or ValueError where one cannot be read."""

    def packed(self, numbers: range) -> PackedBlock | None:  # noqa: ARG002
        """The first few or all of these frames, as they stand in the file; None where they are to be read."""
        return None

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, Block]]:
        """Frames `start`, `start + stride`, ... below `stop`; see `twotime.pipeline.FrameSource`."""
        yield from ahead(self._blocks(start, stop, stride))

    def _blocks(self, start: int, stop: int, stride: int) -> Iterator[tuple[int, Block]]:
        return in_blocks(range(start, stop, stride), frames_at_once(self.facts, self.dtype), self.packed, self._sound)

    def _sound(self, numbers: range) -> Iterator[tuple[int, NDArray[Any]]]:
        """Frames of these numbers at once; one by one up to the first damaged one where not all can be read."""
        try:
            yield numbers[0], self.read(numbers)
        except (OSError, ValueError):
            for number in numbers:
                try:
                    frame = self.read(range(number, number + 1))
                except (OSError, ValueError) as error:
                    raise DamagedFrames(
                        f"frame {number} of {self.path} cannot be read ({error}).", number, number + 1
                    ) from error
                yield number, frame

    def pixel_mask(self) -> NDArray[np.bool_] | None:
        """What the files say of dead pixels and gaps; None: nothing."""
        return None

    def fallback(self) -> None:
        """There is no other way to these frames."""
        return


def _uid(path: Path) -> str:
    """A name for these files in the shape of a uid: the same as long as they do not change."""
    stat = path.stat()
    mark = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()
    return "-".join((mark[:8], mark[8:12], mark[12:16], mark[16:20], mark[20:32]))
