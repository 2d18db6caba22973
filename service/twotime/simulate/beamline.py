"""A scan as a beamline writes it: detector files, and Bluesky documents through `TiledWriter` into Tiled."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from bluesky_tiled_plugins import TiledWriter
from event_model import StreamRange, compose_run
from numpy.typing import NDArray

from twotime.files import detector_of
from twotime.simulate.eiger_file import DATASET, EigerFile
from twotime.xpcs.orientation import as_written, written_point
from twotime.xpcs.types import Geometry

Layout = Literal["burst", "frames", "events"]
ExitStatus = Literal["success", "abort", "fail"]


class FrameStack(Protocol):
    """Frames (N, H, W), as an array or as something that fetches them when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, frames: slice) -> NDArray[Any]:
        """Some of them."""
        ...


@dataclass(frozen=True)
class Scan:
    """How a series of frames is announced.

    Attributes
    ----------
    detector : its name in documents; the image key is ``<detector>_image``
    sample, scan_id : in the start document
    layout : shape of the image node: "burst" (1, N, H, W) as at CHX, "frames" (N, H, W), "events" (N, 1, H, W)
    frame_rate : frames per second in which to write; None: at once
    exit_status : in the stop document; None: no stop document, the run goes on
    simulation : the truth, put into the start document
    frames_per_file : of each data file; a burst is one event and so one file
    as_written : frames and geometry are those that the detector writes, not those of the analysis frame
    metadata : further fields of the start document, which win
    variables : unit and values of scalars, one value for each event; there are then as many events as values
    """

    detector: str = "eiger4m_single"
    sample: str = "simulated colloid"
    scan_id: int | None = None
    layout: Layout = "burst"
    frame_rate: float | None = None
    exit_status: ExitStatus | None = "success"
    simulation: dict[str, Any] = field(default_factory=dict)
    frames_per_file: int = 1000
    as_written: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, tuple[str, Sequence[float]]] = field(default_factory=dict)

    def files_of(self, n_frames: int) -> int:
        """Frames per data file for a scan of so many."""
        return max(n_frames, 1) if self.layout == "burst" else self.frames_per_file


def write_run(
    raw: Any,
    frames: NDArray[Any],
    geometry: Geometry,
    folder: Path,
    *,
    detector: str = "eiger4m_single",
    sample: str = "simulated colloid",
    scan_id: int | None = None,
    shape_style: Layout = "burst",
    frame_rate: float | None = None,
    exit_status: ExitStatus | None = "success",
    simulation: dict[str, Any] | None = None,
    frames_per_file: int = 1000,
    progress: Callable[[float], None] | None = None,
) -> str:
    """Write a scan of one detector into Tiled; see `Scan` for the options.

    Parameters
    ----------
    raw : Tiled client of the container of raw runs
    frames : (N, H, W) array, counts, in the analysis frame
    geometry : of the analysis frame; goes into the descriptor's configuration under the names of CHX
    folder : for the detector files; Tiled must be allowed to read it
    progress : told the fraction written

    Returns
    -------
    str
        Uid of the run.
    """
    scan = Scan(detector, sample, scan_id, shape_style, frame_rate, exit_status, simulation or {}, frames_per_file)
    return write_scan(raw, frames, geometry, folder, scan, progress)


def write_scan(
    raw: Any,
    frames: FrameStack,
    geometry: Geometry,
    folder: Path,
    scan: Scan,
    progress: Callable[[float], None] | None = None,
) -> str:
    """As `write_run`, for frames that need not all lie in memory; returns the uid of the run."""
    writer = TiledWriter(raw, batch_size=1)
    uid = ""
    for name, document in run_documents(frames, geometry, folder, scan, progress):
        if name == "start":
            uid = str(document["uid"])
        writer(name, document)
    return uid


def run_documents(
    frames: FrameStack,
    geometry: Geometry,
    folder: Path,
    scan: Scan,
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Bluesky documents of a scan, and on the way its detector files; each document once its frames are on disk.

    Frames and geometry are those of the analysis frame unless the scan says otherwise; they are written as the detector
    would.
    """
    if not scan.as_written:
        frames, geometry = _as_written(frames[:], geometry, scan)
    run = compose_run(metadata=_start(frames, geometry, scan))
    yield "start", run.start_doc
    _, height, width = frames.shape
    file = EigerFile(folder, str(uuid.uuid4()), geometry, (height, width), frames.dtype, scan.files_of(len(frames)))
    key = f"{scan.detector}_image"
    stream = run.compose_descriptor(
        name="primary",
        data_keys={
            key: {
                "source": f"simulated:{scan.detector}",
                "dtype": "array",
                "dtype_numpy": frames.dtype.str,
                "shape": _datum_shape(frames, scan.layout),
                "external": "STREAM:",
            },
            "i0": {"source": "simulated:i0", "dtype": "number", "dtype_numpy": "<f8", "shape": []},
            **{name: _variable_key(name, unit) for name, (unit, _) in scan.variables.items()},
        },
        configuration={scan.detector: _configuration(frames, geometry, scan)},
        object_keys={scan.detector: [key], "i0": ["i0"], **{name: [name] for name in scan.variables}},
    )
    yield "descriptor", stream.descriptor_doc
    yield from _stream(run, stream, file, frames, scan, progress or (lambda _: None))
    for data in _events(scan):
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time()), filled={})
    if scan.exit_status is not None:
        reason = "" if scan.exit_status == "success" else "simulated failure"
        yield "stop", run.compose_stop(exit_status=scan.exit_status, reason=reason)


def _variable_key(name: str, unit: str) -> dict[str, Any]:
    return {"source": f"simulated:{name}", "dtype": "number", "dtype_numpy": "<f8", "shape": [], "units": unit}


def _events(scan: Scan) -> Iterator[dict[str, float]]:
    """Scalars of each event; one event where nothing is scanned."""
    columns = [values for _, values in scan.variables.values()] or [[0.0]]
    for row in zip(*columns, strict=True):
        yield {"i0": 1.0, **dict(zip(scan.variables, row, strict=False))}


def _as_written(frames: NDArray[Any], geometry: Geometry, scan: Scan) -> tuple[NDArray[Any], Geometry]:
    kind = detector_of(scan.detector)
    orientation = "raw" if kind is None else kind.orientation
    written = as_written(frames, orientation)
    y, x = written_point(geometry.beam_center_y, geometry.beam_center_x, written.shape[1:], orientation, pychx=True)
    return written, replace(geometry, beam_center_y=y, beam_center_x=x)


def _stream(
    run: Any, stream: Any, file: EigerFile, frames: FrameStack, scan: Scan, progress: Callable[[float], None]
) -> Iterator[tuple[str, Any]]:
    """Write the frames; announce each data file when it begins, and the frames as their layout allows."""
    key = f"{scan.detector}_image"
    begun = time.monotonic()
    announced, rows, resource = 0, 0, None
    for first, block in _portions(frames, scan):
        _wait_until(begun, scan.frame_rate, first + len(block))
        file.append(block)
        while announced < len(file.paths):
            resource = run.compose_stream_resource(
                mimetype="application/x-hdf5",
                uri=f"file://localhost{file.paths[announced]}",
                data_key=key,
                parameters={"dataset": DATASET, "chunk_shape": _chunk_shape(frames, scan.layout), "swmr": True},
            )
            yield "stream_resource", resource.stream_resource_doc
            announced += 1
        written = file.n_frames if scan.layout != "burst" else int(file.n_frames == len(frames))
        if resource is not None and written > rows:
            yield (
                "stream_datum",
                resource.compose_stream_datum(
                    indices=StreamRange(start=rows, stop=written),
                    seq_nums=StreamRange(start=rows + 1, stop=written + 1),
                    descriptor=stream.descriptor_doc,
                ),
            )
            rows = written
        progress(file.n_frames / len(frames))
    file.close()


def _portions(frames: FrameStack, scan: Scan) -> Iterator[tuple[int, NDArray[Any]]]:
    """All at once up to one data file, or a tenth of a second's frames at a time."""
    step = scan.files_of(len(frames))
    if scan.frame_rate is not None:
        step = min(step, max(1, int(scan.frame_rate / 10)))
    for first in range(0, len(frames), step):
        yield first, frames[first : first + step]


def _wait_until(begun: float, frame_rate: float | None, frames: int) -> None:
    if frame_rate is not None:
        time.sleep(max(0.0, begun + frames / frame_rate - time.monotonic()))


def _datum_shape(frames: FrameStack, layout: Layout) -> list[int]:
    shape = [int(length) for length in frames.shape]
    return {"burst": shape, "frames": shape[1:], "events": [1, *shape[1:]]}[layout]


def _chunk_shape(frames: FrameStack, layout: Layout) -> tuple[int, ...]:
    height, width = (int(length) for length in frames.shape[1:])
    return (1, height, width) if layout == "frames" else (1, 1, height, width)


def _start(frames: FrameStack, geometry: Geometry, scan: Scan) -> dict[str, Any]:
    """Start document as the plans of CHX write it; they write numbers as text."""
    document: dict[str, Any] = {
        "plan_name": "count",
        "num_points": 1,
        "num_intervals": 0,
        "detectors": [scan.detector],
        "beamline_id": "CHX",
        "cycle": "2026_3",
        "data_session": "pass-000000",
        "user": "twotime",
        "sample": scan.sample,
        "XPCS_data": True,
        "exposure time": str(geometry.frame_time_s),
        "acquire period": str(geometry.frame_time_s),
        "number of images": str(len(frames)),
        "simulation": scan.simulation,
    }
    if scan.scan_id is not None:
        document["scan_id"] = scan.scan_id
    return document | scan.metadata


def _configuration(frames: FrameStack, geometry: Geometry, scan: Scan) -> dict[str, Any]:
    """Configuration of the detector under the names of CHX."""
    values = {
        "beam_center_x": geometry.beam_center_x,
        "beam_center_y": geometry.beam_center_y,
        "det_distance": geometry.distance_m,
        "wavelength": geometry.wavelength_angstrom,
        "cam_acquire_period": geometry.frame_time_s,
        "cam_acquire_time": geometry.frame_time_s,
        "cam_num_images": len(frames),
        "x_pixel_size": geometry.pixel_size_m,
        "y_pixel_size": geometry.pixel_size_m,
    }
    data = {f"{scan.detector}_{name}": value for name, value in values.items()}
    now = time.time()
    return {
        "data": data,
        "timestamps": dict.fromkeys(data, now),
        "data_keys": {
            name: {
                "source": f"simulated:{name}",
                "dtype": "integer" if isinstance(value, int) else "number",
                "shape": [],
            }
            for name, value in data.items()
        },
    }


def truth_of(model: Any) -> dict[str, Any]:
    """What goes into the start document as ``simulation``: all of the model but shape and geometry."""
    return {name: value for name, value in asdict(model).items() if name not in ("shape", "geometry")}
