"""Capacity planning: processor time, memory and disk that scans need, from costs that were measured on a machine."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import nnls

from twotime.errors import InputError
from twotime.pipeline.planning import BYTES_PER_PAIR, bin_of

Stage = Literal["reading", "computing", "publishing", "Tiled", "stored bytes", "frame bytes"]
Costs = dict[Stage, dict[str, float]]
USABLE = 0.7
"""Share of a core's day that is counted on: scans do not come evenly, and Tiled and the system need some."""
LOOKING = 0.5
"""Of a core, that a live view takes at most beside reading: it looks at its frames for half of the time."""
DAY_S = 86400.0


@dataclass(frozen=True)
class ScanSize:
    """What decides the cost of a scan.

    Attributes
    ----------
    n_frames : as the detector writes them
    n_pixels : of a frame
    n_rois, pixels_per_roi : of the analysis
    bin : how many frames are added to one
    """

    n_frames: int
    n_pixels: int
    n_rois: int
    pixels_per_roi: int
    bin: int = 1

    @property
    def n_pairs(self) -> int:
        """Pairs of analysed frames, of all ROIs."""
        return self.n_rois * (self.n_frames // self.bin) ** 2


_TERMS: dict[Stage, dict[str, Callable[[ScanSize], float]]] = {
    "reading": {
        "analysis": lambda _: 1.0,
        "pixel of a frame": lambda one: one.n_frames * one.n_pixels,
        "count in a ROI": lambda one: one.n_frames * one.n_rois * one.pixels_per_roi,
    },
    "computing": {
        "ROI": lambda one: one.n_rois,
        "frame and ROI": lambda one: one.n_rois * (one.n_frames // one.bin),
        "pair of frames and ROI": lambda one: one.n_pairs,
        "pair of frames and pixel": lambda one: one.n_pairs * one.pixels_per_roi,
    },
    "publishing": {"analysis": lambda _: 1.0, "pair of frames and ROI": lambda one: one.n_pairs},
    "Tiled": {"analysis": lambda _: 1.0, "pair of frames and ROI": lambda one: one.n_pairs},
    "stored bytes": {"analysis": lambda _: 1.0, "pair of frames and ROI": lambda one: one.n_pairs},
    "frame bytes": {"pixel of a frame": lambda one: one.n_frames * one.n_pixels},
}
"""What the cost of each stage is proportional to; "Tiled" is the server's part of publishing."""


@dataclass(frozen=True)
class Measurement:
    """Costs as measured on one machine.

    Attributes
    ----------
    machine : processor, number of cores, load while it was measured
    numerics : version of what was measured
    costs : of each stage and term; processor seconds, or bytes of the results and of the frames on disk
    process_bytes : memory of a worker before it holds a scan
    typical_error : root mean square of the relative errors with which the costs reproduce what was measured
    """

    machine: str
    numerics: str
    costs: Costs
    process_bytes: int
    typical_error: float

    def cost(self, stage: Stage, size: ScanSize) -> float:
        """Processor seconds, or bytes on disk, of one scan."""
        return sum(self.costs[stage][name] * term(size) for name, term in _TERMS[stage].items())

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Measurement":
        """Read what `save` wrote; raises `InputError`."""
        try:
            found = cls(**json.loads(path.read_text()))
            complete = all(isinstance(found.costs[stage][name], float) for stage in _TERMS for name in _TERMS[stage])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} holds no measurement that --save wrote ({error}); measure again.") from None
        if not complete:
            raise InputError(f"{path} holds costs that are no numbers; measure again.")
        return found


def fit_costs(samples: Mapping[Stage, Sequence[tuple[ScanSize, float]]]) -> tuple[Costs, float]:
    """Costs of all terms, from measured stages of scans of several sizes.

    Parameters
    ----------
    samples : size and cost of scans, by stage

    Returns
    -------
    costs : none negative, with the smallest relative errors
    typical_error : their root mean square
    """
    costs: Costs = {}
    errors: list[float] = []
    for stage, measured in samples.items():
        terms = np.array([[term(size) for term in _TERMS[stage].values()] for size, _ in measured], float)
        value = np.array([cost for _, cost in measured], float)
        found, _ = nnls(terms / value[:, None], np.ones(len(value)))
        costs[stage] = dict(zip(_TERMS[stage], found.tolist(), strict=True))
        errors += (terms @ found / value - 1).tolist()
    return costs, float(np.sqrt(np.mean(np.square(errors))))


@dataclass(frozen=True)
class Demand:
    """What a beamline measures.

    Attributes
    ----------
    n_pixels : of a frame
    frame_rate_hz : of the detector
    n_frames : of a scan
    scans_per_day : that are analysed
    n_rois, pixels_per_roi : of each analysis
    bytes_per_count : of the detector's frames
    """

    n_pixels: int
    frame_rate_hz: float
    n_frames: int
    scans_per_day: float
    n_rois: int
    pixels_per_roi: int
    bytes_per_count: int = 2


@dataclass(frozen=True)
class Capacity:
    """What it takes.

    Attributes
    ----------
    bin : how many frames are added to one, so that the two-time correlation functions fit into memory
    seconds : processor time of one scan, by stage; "Tiled" is that of the server while the results are published
    cores_for_the_day : so that all scans of a day are analysed within it
    cores_to_keep_up : so that scans taken one after the other, without a pause, are analysed as fast
    cores_for_live : to follow one scan while it is taken
    worker_bytes : memory of one worker
    stored_bytes : of one analysis
    stored_bytes_per_day : of all
    frame_bytes_per_day : of the detector files that are read
    notes : sentences for the reader
    """

    bin: int
    seconds: dict[Stage, float]
    cores_for_the_day: int
    cores_to_keep_up: int
    cores_for_live: float
    worker_bytes: int
    stored_bytes: int
    stored_bytes_per_day: int
    frame_bytes_per_day: int
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def capacity(demand: Demand, measured: Measurement, budget_bytes: int) -> Capacity:
    """Cores, memory and disk for what a beamline measures.

    Parameters
    ----------
    measured : on the machine in question, or on one like it
    budget_bytes : memory for the two-time correlation functions of one analysis

    Raises
    ------
    InputError
        If the ROIs have more pixels than the detector, or a day is too short for the scans.
    """
    _check(demand)
    added = bin_of("auto", demand.n_frames, demand.n_rois, budget_bytes)
    size = ScanSize(demand.n_frames, demand.n_pixels, demand.n_rois, demand.pixels_per_roi, added)
    stages: tuple[Stage, ...] = ("reading", "computing", "publishing", "Tiled")
    seconds = {stage: measured.cost(stage, size) for stage in stages}
    total_s, scan_s = sum(seconds.values()), demand.n_frames / demand.frame_rate_hz
    stored = round(measured.cost("stored bytes", size))
    counts = demand.n_frames * demand.n_rois * demand.pixels_per_roi
    return Capacity(
        bin=added,
        seconds=seconds,
        cores_for_the_day=math.ceil(total_s * demand.scans_per_day / (USABLE * DAY_S)),
        cores_to_keep_up=math.ceil(total_s / (USABLE * scan_s)),
        cores_for_live=seconds["reading"] / scan_s + LOOKING,
        worker_bytes=measured.process_bytes + counts * demand.bytes_per_count + size.n_pairs * BYTES_PER_PAIR,
        stored_bytes=stored,
        stored_bytes_per_day=round(stored * demand.scans_per_day),
        frame_bytes_per_day=round(measured.cost("frame bytes", size) * demand.scans_per_day),
        notes=_notes(demand, added, seconds["reading"] / scan_s),
    )


def _check(demand: Demand) -> None:
    in_rois = demand.n_rois * demand.pixels_per_roi
    if in_rois > demand.n_pixels:
        raise InputError(
            f"{demand.n_rois} ROIs of {demand.pixels_per_roi} pixels are {in_rois} pixels, but a frame has "
            f"{demand.n_pixels}; give fewer or smaller ones."
        )
    busy_s = demand.scans_per_day * demand.n_frames / demand.frame_rate_hz
    if busy_s > DAY_S:
        raise InputError(
            f"{demand.scans_per_day:g} scans of {demand.n_frames} frames at {demand.frame_rate_hz:g} frames per second "
            f"take {busy_s / 3600:.1f} h, more than a day; give fewer scans or frames, or a higher rate."
        )


def _notes(demand: Demand, added: int, reading_cores: float) -> list[str]:
    notes = []
    if added > 1:
        notes.append(
            f"Every {added} frames are added to one, or the two-time correlation functions of {demand.n_frames} frames "
            f"and {demand.n_rois} ROIs would not fit into TWOTIME_MEMORY_GIB."
        )
    if reading_cores > 1:
        notes.append(
            f"Reading a scan as fast as it is taken keeps {reading_cores:.1f} cores busy; with fewer its live view "
            "lags behind the detector."
        )
    return notes
