"""Denoised frames as NeXus: the rate with its errors as the default plot, the measured frames beside it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from twotime.export.nexus import group_of_class, write_process, write_tables
from twotime.results import DENOISED_FRAMES, NODES, Analysis

_IMAGES = {"data": "rate", "data_errors": "rate_error", "raw": "frames_raw", "residual": "residual"}
"""Names below ``entry/data`` and the published arrays; ``_errors`` is where NeXus readers look for error bars."""


def write_frames_nexus(path: Path, analysis: Analysis) -> None:
    """Write denoised frames as one NeXus file, whole or not at all.

    Parameters
    ----------
    path : of the file
    analysis : of the kind frames

    Notes
    -----
    ``entry/data`` is an NXdata with the rate as its signal and the scan variable, or the number of the frame, as its
    first axis. The file carries the mark of denoised frames, by which correlation of them is refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with h5py.File(draft, "w") as file:
        file.attrs["default"] = "entry"
        file.attrs[DENOISED_FRAMES] = True
        entry = group_of_class(file, "entry", "NXentry")
        entry.attrs["default"] = "data"
        entry["entry_identifier"] = str(analysis.resolved.get("scan_id") or "")
        entry["entry_identifier_uuid"] = str(analysis.resolved.get("raw_uid", ""))
        sample = group_of_class(entry, "sample", "NXsample")
        sample["name"] = str(analysis.resolved.get("sample") or "")
        _data(entry, analysis)
        _detector(entry, analysis)
        write_tables(entry, analysis)
        write_process(entry, analysis)
        entry["process/frame_denoiser"] = analysis.versions.get("frame_denoiser", "")
    draft.replace(path)


def _data(entry: h5py.Group, analysis: Analysis) -> None:
    data = group_of_class(entry, "data", "NXdata")
    described = {node.name: node for node in NODES}
    for name, node in _IMAGES.items():
        written = _images(data, name, analysis.arrays[node])
        written.attrs["units"] = described[node].unit
        written.attrs["long_name"] = described[node].description
    variable = analysis.resolved.get("scan_variable")
    frames = analysis.tables["frames"]
    axis = "frame_number" if variable is None else "scan_value"
    data[axis] = frames[axis].to_numpy()
    if variable is not None:
        data[axis].attrs["units"] = variable["unit"]
        data[axis].attrs["long_name"] = variable["name"]
    data.attrs["signal"] = "data"
    data.attrs["axes"] = [axis, "row", "column"]
    _, height, width = analysis.arrays["rate"].shape
    data["row"], data["column"] = np.arange(height), np.arange(width)


def _images(group: h5py.Group, name: str, array: NDArray[Any]) -> h5py.Dataset:
    """Images (F, H, W), one to a chunk."""
    return group.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip", compression_opts=1)


def _detector(entry: h5py.Group, analysis: Analysis) -> None:
    instrument = group_of_class(entry, "instrument", "NXinstrument")
    detector = group_of_class(instrument, "detector_1", "NXdetector")
    detector["description"] = str(analysis.resolved.get("detector", ""))
    # NeXus marks pixels that cannot be used by values other than 0.
    detector["pixel_mask"] = np.asarray(~np.asarray(analysis.arrays["mask"], bool), np.uint32)
    detector["mean_frame"] = analysis.arrays["mean_frame"]
    if "roi_labels" in analysis.arrays:
        detector["region_labels"] = analysis.arrays["roi_labels"]
