"""Detector frames of a run in blocks: from the HDF5 files in place if the service can open them, else over HTTP."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
from databroker.client import BlueskyRun
from numpy.typing import NDArray

from twotime.catalog.runs.detector_files import DataFile, master_file, reachable_files
from twotime.catalog.runs.run_facts import find_image
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import DamagedFrames, UnusableRun
from twotime.files import EigerSeries, master_pixel_mask
from twotime.files.chunks import FrameBuffers, ahead, frame_indices, read_frames
from twotime.files.packed import PackedFrames, read_packed
from twotime.files.series import frames_at_once, in_blocks
from twotime.hdf5 import HDF5File, LeadsOutside
from twotime.pipeline.protocols import Block, FrameSource
from twotime.recipe import RunFacts

IN_FLIGHT = 2


class TiledFrames:
    """Frames of one run; a `twotime.pipeline.FrameSource`.

    Parameters
    ----------
    run : from `twotime.catalog.runs.search.find_run`
    facts : of the same run
    direct : read HDF5 files in place if they can be opened; 10 to 30 times as fast as HTTP
    path_map : prefixes of file paths on Tiled's machine, and the prefixes here
    folders : in which files may be opened

    Attributes
    ----------
    facts : of the run
    route : "file" or "http"
    """

    def __init__(
        self,
        run: BlueskyRun,
        facts: RunFacts,
        direct: bool = True,
        path_map: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        self.facts = facts
        self._node = find_image(run, facts.detector).node
        self._folders = folders
        self._files = reachable_files(self._node, path_map or {}, folders) if direct else []
        self._master = master_file(self._node, path_map or {}, folders) if direct else None

    @property
    def route(self) -> str:
        """How the frames are read."""
        return "file" if self._files else "http"

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        counts: np.dtype[Any] = np.dtype(self._node.dtype)
        return counts

    def pixel_mask(self) -> NDArray[np.bool_] | None:
        """What the detector's master file lets pass; None where it is out of reach or says nothing."""
        if self._master is None:
            return None
        return master_pixel_mask(self._master, (self.facts.shape[1], self.facts.shape[2]))

    def fallback(self) -> FrameSource | None:
        """The series as its master file links it; None if that cannot be opened or has another shape."""
        if self._master is None:
            return None
        try:
            series = EigerSeries(self._master, self.facts.detector, self.facts.orientation, self._folders)
        except UnusableRun:
            return None
        return series if series.facts.shape == self.facts.shape else None

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, Block]]:
        """Frames `start`, `start + stride`, ... below `stop`, as (number of the first, (k, H, W) counts).

        Raises
        ------
        DamagedFrames
            If announced frames are missing or cannot be read.
        UnusableRun
            If the files cannot be opened.
        TiledUnavailable
            If Tiled does not answer.
        """
        at_once = frames_at_once(self.facts, self.dtype)
        if self._files:
            yield from ahead(self._from_files(start, stop, stride, at_once))
        else:
            step = at_once * stride
            yield from self._over_http([(first, min(first + step, stop)) for first in range(start, stop, step)], stride)

    def _from_files(self, start: int, stop: int, stride: int, at_once: int) -> Iterator[tuple[int, Block]]:
        with _Stack(self._files, self._folders, self.facts.shape[1:]) as stack:
            there = min(stop, stack.n_frames)
            yield from in_blocks(range(start, there, stride), at_once, stack.packed, stack.sound)
            if there < stop:
                raise DamagedFrames(
                    f"run {self.facts.uid[:8]} announces {self.facts.shape[0]} frames, but its files hold "
                    f"{stack.n_frames}; set frames.stop to {stack.n_frames} in the recipe, or wait until the files "
                    "are complete.",
                    max(start, there),
                    self.facts.shape[0],
                )

    def _over_http(self, spans: list[tuple[int, int]], stride: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Blocks over HTTP, `IN_FLIGHT` requests at a time, so that transfer and analysis overlap."""
        with ThreadPoolExecutor(IN_FLIGHT, "frames") as pool:
            waiting = deque[tuple[int, Any]]()
            ahead = iter(spans)
            for first, last in ahead:
                waiting.append((first, pool.submit(self._request, first, last, stride)))
                if len(waiting) == IN_FLIGHT:
                    break
            while waiting:
                first, future = waiting.popleft()
                block = future.result()
                following = next(ahead, None)
                if following is not None:
                    waiting.append((following[0], pool.submit(self._request, *following, stride)))
                yield first, block

    def _request(self, first: int, last: int, stride: int) -> NDArray[Any]:
        _, height, width = self.facts.shape
        leading = tuple(int(length) for length in self._node.shape[:-2])
        with tiled_errors(), self._files_as_announced():
            parts = [np.asarray(self._node[index]) for index in frame_indices(leading, first, last, stride)]
        block = np.concatenate([part.reshape(-1, height, width) for part in parts])
        # Tiled answers an out-of-range slice with fewer frames, or none, and no error.
        expected = len(range(first, last, stride))
        if len(block) != expected:
            stop = first + len(block) * stride
            raise DamagedFrames(
                f"Tiled yields {len(block)} of the {expected} frames from {first} on of run {self.facts.uid[:8]}; "
                f"set frames.stop to {stop} in the recipe.",
                first,
                last,
            )
        return block

    @contextmanager
    def _files_as_announced(self) -> Iterator[None]:
        """Raise `UnusableRun` if the files hold other frames than the documents announce.

        Tiled answers 422 if the shapes do not match and 503 if frames may still come. An overloaded server also answers
        503, but without ``detail``.
        """
        try:
            yield
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (422, 503) or "detail" not in error.response.text:
                raise
            raise UnusableRun(
                f"Tiled cannot read frames of run {self.facts.uid[:8]}: it announces {self.facts.shape[0]} frames, but "
                f"its files hold others ({error.response.json()['detail']}); wait until they are complete, or make "
                "them reachable from here (TWOTIME_READ_IN_PLACE, TWOTIME_PATH_MAP)."
            ) from error


class _Stack:
    """Datasets (..., H, W) of several files, concatenated."""

    def __init__(self, files: list[DataFile], folders: Sequence[Path], shape: tuple[int, ...]) -> None:
        self._files = files
        self._folders = folders
        self._shape = shape
        self._open: list[HDF5File] = []
        self._datasets: list[h5py.Dataset] = []
        self._paths: list[Path] = []
        self._ends: NDArray[np.int64] = np.zeros(0, np.int64)
        self._buffers = FrameBuffers()

    def __enter__(self) -> "_Stack":
        try:
            for file in self._files:
                self._enter(file)
        except BaseException:
            self.__exit__()
            raise
        self._ends = np.cumsum([int(np.prod(dataset.shape[:-2])) for dataset in self._datasets])
        return self

    def _enter(self, file: DataFile) -> None:
        try:
            self._open.append(HDF5File(file.path, self._folders))
            found = self._open[-1].frames(file.dataset)
        except LeadsOutside as error:
            raise UnusableRun(f"The detector file {file.path} is not read: {error}.") from error
        except (OSError, KeyError) as error:
            raise UnusableRun(
                f"The detector file {file.path} cannot be read ({error}); "
                "set TWOTIME_READ_IN_PLACE=false to read through Tiled."
            ) from error
        for dataset in found:
            if dataset.shape[-2:] != self._shape:
                raise UnusableRun(
                    f"The detector file {file.path} holds frames of shape {dataset.shape[-2:]}, but the run announces "
                    f"{self._shape}."
                )
        self._datasets += found
        self._paths += [file.path] * len(found)

    def __exit__(self, *_: object) -> None:
        for file in self._open:
            file.close()

    @property
    def n_frames(self) -> int:
        """Number of frames in all files."""
        return int(self._ends[-1])

    def packed(self, frames: range) -> PackedFrames | None:
        """Compressed chunks of those frames that are in the same file as the first; None if not possible."""
        numbers = np.asarray(frames)
        owner = np.searchsorted(self._ends, numbers, side="right")
        own = numbers[owner == owner[0]] - (self._ends[owner[0] - 1] if owner[0] else 0)
        return read_packed(self._datasets[owner[0]], own, str(self._paths[owner[0]]), self._buffers)

    def sound(self, frames: range) -> Iterator[tuple[int, NDArray[Any]]]:
        """Decoded frames: all at once or, if that fails, one by one up to the first damaged frame."""
        try:
            yield frames[0], self._read(np.asarray(frames))
        except OSError:
            for number in frames:
                try:
                    frame = self._read(np.array([number]))
                except OSError as error:
                    name = self._paths[int(np.searchsorted(self._ends, number, side="right"))]
                    raise DamagedFrames(
                        f"the detector file {name} is damaged at frame {number} ({error}).", number, number + 1
                    ) from error
                yield number, frame

    def _read(self, frames: NDArray[np.int64]) -> NDArray[Any]:
        """Frames of these numbers, which increase by a constant stride."""
        owner = np.searchsorted(self._ends, frames, side="right")
        parts = []
        for number in np.unique(owner):
            dataset = self._datasets[number]
            own = frames[owner == number] - (self._ends[number - 1] if number else 0)
            parts.append(read_frames(dataset, own, self._buffers))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
