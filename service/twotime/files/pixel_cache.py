"""Pixels of ROIs on disk, so that another fit or another choice among them does not read all frames again."""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import twotime
from twotime.pipeline.gathering import Gathered
from twotime.pipeline.planning import Plan
from twotime.xpcs.mask import FrameStatistics
from twotime.xpcs.pixels import RoiPixels

_STATISTICS = ("total", "maximum", "negative", "saturated")


class PixelCache:
    """Gathered pixels of the last runs; a `twotime.pipeline.gathering.PixelStore`.

    Each set lies in a folder of its own, made whole before it gets its name, so that what is found is complete. The
    ones not used for longest go when there is too much of them. Only numbers are read back, never objects.

    Parameters
    ----------
    folder : made when needed
    most_bytes : of all sets together; 0: nothing is kept
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    def find(self, plan: Plan) -> Gathered | None:
        """What was kept of the same frames of the same run, if that holds all ROI pixels of the plan."""
        for entry in sorted(self.folder.glob(f"{_key(plan)}-*")):
            # Another process may be clearing up: what cannot be read whole was never there.
            with suppress(OSError, ValueError, KeyError):
                found = _read(entry, plan)
                if found is not None:
                    os.utime(entry)
                    return found
        return None

    def keep(self, plan: Plan, gathered: Gathered) -> None:
        """Keep pixels, as far as there is room; a full disk is no reason to stop."""
        size = gathered.counts.nbytes + sum(getattr(gathered.statistics, name).nbytes for name in _STATISTICS)
        if size > self.most_bytes or gathered.damaged.any():
            return
        name = f"{_key(plan)}-{_mark(gathered.pixels.indices)}"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            unfinished = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
            try:
                _write(unfinished, gathered)
                unfinished.rename(self.folder / name)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        """Remove the sets not used for longest until one of this size fits."""
        entries = []
        for entry in self.folder.iterdir():
            with suppress(OSError):
                entries.append((entry.stat().st_mtime, sum(file.stat().st_size for file in entry.iterdir()), entry))
        total = sum(bytes_there for _, bytes_there, _ in entries)
        for _, bytes_there, entry in sorted(entries):
            if total + size <= self.most_bytes:
                return
            shutil.rmtree(entry, ignore_errors=True)
            total -= bytes_there


def _key(plan: Plan) -> str:
    """Of everything that decides what is gathered, but for the pixels."""
    frames, facts = plan.resolved.recipe.frames, plan.facts
    what: dict[str, Any] = {
        "version": twotime.__version__,
        "detector": facts.detector,
        "shape": facts.shape,
        "orientation": plan.resolved.orientation,
        "frames": [frames.start, frames.stop, frames.stride],
        "sums": plan.resolved.recipe.normalisation == "flux",
    }
    return f"{facts.uid}-{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]}"


def _mark(indices: NDArray[np.intp]) -> str:
    return hashlib.sha256(np.ascontiguousarray(indices, np.int64).data).hexdigest()[:12]


def _write(folder: Path, gathered: Gathered) -> None:
    np.save(folder / "counts.npy", gathered.counts)
    statistics = gathered.statistics
    total = statistics.total
    if total.dtype.kind == "u":
        total = total.astype(np.min_scalar_type(int(total.max(initial=0))))
    np.savez(
        folder / "rest.npz",
        indices=gathered.pixels.indices,
        frame_number=gathered.frame_number,
        frame_sum=gathered.frame_sum,
        n_frames=statistics.n_frames,
        total=total,
        **{name: getattr(statistics, name) for name in _STATISTICS[1:]},
    )


def _read(folder: Path, plan: Plan) -> Gathered | None:
    pixels = RoiPixels(plan.rois.labels, plan.resolved.orientation)
    with np.load(folder / "rest.npz", allow_pickle=False) as rest:
        columns = _columns(rest["indices"], pixels.indices)
        if columns is None:
            return None
        statistics = FrameStatistics()
        statistics.n_frames = int(rest["n_frames"])
        statistics.total = rest["total"].astype(np.uint64 if rest["total"].dtype.kind == "u" else float)
        for name in _STATISTICS[1:]:
            setattr(statistics, name, rest[name])
        counts: NDArray[Any] = np.load(folder / "counts.npy", mmap_mode="r", allow_pickle=False)
        return Gathered(
            pixels=pixels,
            counts=counts if np.array_equal(columns, np.arange(counts.shape[1])) else counts[:, columns],
            statistics=statistics,
            frame_number=rest["frame_number"],
            frame_sum=rest["frame_sum"],
            damaged=np.zeros(len(counts), bool),
            repeated=0,
            warnings=[],
        )


def _columns(kept: NDArray[np.intp], wanted: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Where each wanted pixel lies among those kept; None where one is missing."""
    order = np.argsort(kept)
    place = np.minimum(np.searchsorted(kept[order], wanted), len(kept) - 1)
    columns: NDArray[np.intp] = order[place]
    return columns if np.array_equal(kept[columns], wanted) else None
