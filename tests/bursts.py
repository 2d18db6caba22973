"""Scans as a detector that writes one burst leaves them, and their way through a service in this process."""

import uuid
from pathlib import Path
from typing import Any

import event_model
import h5py
import numpy as np
from bluesky_tiled_plugins import TiledWriter
from tests.waiting import LONGEST_S, Loop, until

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.jobs import Service

IMAGE = "eiger4m_single_image"
GEOMETRY = {
    "beam_center_y": 40.0,
    "beam_center_x": 40.0,
    "distance_m": 5.0,
    "wavelength_angstrom": 1.0,
    "pixel_size_m": 7.5e-5,
    "frame_time_s": 0.01,
}


def write_burst(
    raw: Any,
    folder: Path,
    n_frames: int = 60,
    *,
    scan_id: int | None = None,
    exit_status: str = "success",
    mean: float = 2.0,
    **start: Any,
) -> str:
    """A run of frames without any dynamics; returns its uid."""
    frames = np.random.default_rng(n_frames).poisson(mean, (n_frames, 80, 80)).astype(np.uint16)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4()}.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", data=frames, chunks=(1, 80, 80))
    run = event_model.compose_run(metadata={"scan_id": scan_id, **start} if scan_id else start)
    key = {"source": "test", "dtype": "array", "dtype_numpy": "<u2", "shape": [n_frames, 80, 80], "external": "STREAM:"}
    descriptor = run.compose_descriptor(name="primary", data_keys={IMAGE: key})
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5",
        uri=f"file://localhost{path}",
        data_key=IMAGE,
        parameters={"dataset": "/entry/data/data", "chunk_shape": (1, 80, 80)},
    )
    datum = resource.compose_stream_datum({"start": 0, "stop": 1}, {"start": 1, "stop": 2}, descriptor.descriptor_doc)
    writer = TiledWriter(raw, batch_size=1)
    writer("start", run.start_doc)
    writer("descriptor", descriptor.descriptor_doc)
    writer("stream_resource", resource.stream_resource_doc)
    writer("stream_datum", datum)
    writer("stop", run.compose_stop(exit_status=exit_status))
    return str(run.start_doc["uid"])


def ended(
    service: Service, call: Loop, key: str, status: str = "done", patience_s: float = LONGEST_S
) -> AnalysisRecord:
    """Wait until an analysis has ended, as it should."""

    def look() -> AnalysisRecord | None:
        record = call(service.unrestricted.analysis(key))
        return record if record.ended else None

    record: AnalysisRecord = until(look, longest_s=patience_s)
    assert record.status == status, record.error
    return record


def computing(service: Service, call: Loop, key: str) -> AnalysisRecord:
    """Wait until a worker is in the midst of it."""

    def look() -> AnalysisRecord | None:
        record = call(service.unrestricted.analysis(key))
        assert not record.ended, f"It ended before the test could interfere: {record.status} {record.error}"
        return record if record.stage not in ("waiting", "starting", "loading the models") else None

    record: AnalysisRecord = until(look)
    return record
