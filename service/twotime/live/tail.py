"""New frames of a run that is still being written, as `tail -f` shows new lines of a file."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from databroker.client import BlueskyRun, CatalogOfBlueskyRuns
from numpy.typing import NDArray

from twotime.catalog.runs.detector_files import DataFile, reachable_files
from twotime.catalog.runs.run_facts import find_image, run_facts
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import UnusableRun
from twotime.hdf5 import HDF5File
from twotime.pipeline.protocols import Block
from twotime.recipe import RunFacts
from twotime.settings import Settings

ASK_EVERY_S = 1.0


class RunTail:
    """Reads frames of one run as they appear.

    In files that the service can open, frames count as soon as the detector has flushed them, before the documents
    announce them. Over HTTP they count when Tiled announces them: reading earlier answers 422 for common detectors.

    Parameters
    ----------
    raw : catalog of the raw runs
    uid : of the run
    detector : see `twotime.catalog.runs.run_facts.find_image`
    settings : `read_in_place`, `path_map` and `detector_dirs` count

    Attributes
    ----------
    stop : stop document, once there is one
    """

    def __init__(self, raw: CatalogOfBlueskyRuns, uid: str, detector: str | None, settings: Settings) -> None:
        self.stop: dict[str, Any] | None = None
        self._raw = raw
        self._uid = uid
        self._detector = detector
        self._settings = settings
        self._run: BlueskyRun | None = None
        self._node: Any = None
        self._files: list[DataFile] = []
        self._frames: TiledFrames | None = None
        self._full: dict[DataFile, int] = {}
        self._asked_at = -np.inf

    @property
    def run(self) -> BlueskyRun:
        """The run as of the last `look`."""
        assert self._run is not None
        return self._run

    def look(self, *, now: bool = False) -> None:
        """Ask Tiled for news, at most once a second unless `now`."""
        if not now and time.monotonic() - self._asked_at < ASK_EVERY_S:
            return
        self._asked_at = time.monotonic()
        with tiled_errors():
            self._run = self._raw[self._uid]
            self.stop = self._run.metadata.get("stop") or None
            if self._node is None:
                self._node = self._image()
            if self._node is not None:
                self._node.refresh()
        if not self._files:
            self._frames = None  # Its client keeps the shape it was made with; make a new one.
        if self._node is not None and self._settings.read_in_place:
            files = reachable_files(self._node, self._settings.path_map, self._settings.detector_dirs)
            self._frames = self._frames if files == self._files else None
            self._files = files

    def facts(self) -> RunFacts | None:
        """Facts of the run so far; None before its detector has announced frames."""
        if self._node is None:
            return None
        settings = self._settings
        return run_facts(
            self.run,
            self._detector,
            running=True,
            direct=settings.read_in_place,
            path_map=settings.path_map,
            folders=settings.detector_dirs,
        )

    def available(self) -> int:
        """How many frames can be read now."""
        if self._node is None:
            return 0
        if not self._files:
            return int(np.prod(self._node.shape[:-2]))
        total = 0
        for number, file in enumerate(self._files):
            length = self._full.get(file)
            if length is None:
                length = _length(file, self._settings.detector_dirs)
                if number < len(self._files) - 2:
                    self._full[file] = length  # The detector writes two files further on: this one is complete.
            total += length
        return total

    def pixel_mask(self, facts: RunFacts) -> NDArray[np.bool_] | None:
        """What the detector's master file lets pass, (H, W); None where it is out of reach or says nothing."""
        return self._frames_of(facts).pixel_mask()

    def read(self, facts: RunFacts, first: int, stop: int, stride: int) -> list[tuple[int, Block]]:
        """Frames `first`, `first + stride`, ... below `stop`, as blocks (number of the first, (k, H, W) counts).

        Raises
        ------
        DamagedFrames
            If one cannot be read.
        UnusableRun
            If Tiled cannot read files that are ahead of the documents.
        """
        return list(self._frames_of(facts).blocks(first, stop, stride))

    def _frames_of(self, facts: RunFacts) -> TiledFrames:
        if self._frames is None or self._frames.facts != facts:
            settings = self._settings
            self._frames = TiledFrames(
                self.run,
                facts,
                direct=settings.read_in_place,
                path_map=settings.path_map,
                folders=settings.detector_dirs,
            )
        return self._frames

    def _image(self) -> Any:
        try:
            return find_image(self.run, self._detector).node
        except UnusableRun:
            return None


def _length(file: DataFile, folders: Sequence[Path]) -> int:
    """Number of frames in a file so far; 0 if it cannot be opened yet."""
    try:
        with HDF5File(file.path, folders) as opened:
            return sum(int(np.prod(dataset.shape[:-2])) for dataset in opened.frames(file.dataset))
    except (OSError, KeyError):
        return 0
