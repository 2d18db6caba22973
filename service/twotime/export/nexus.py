"""Results as NeXus (NXxpcs), with the paths of the APS beside, so that the viewers of both fields open them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from twotime.export.curves import by_roi, curve_table
from twotime.results import NODES, Analysis

KEV_ANGSTROM = 12.39842
LINKS = {
    "xpcs/multitau/delay_list": "/entry/data/delay_difference",
    "xpcs/multitau/normalized_g2": "/entry/data/g2",
    "xpcs/multitau/normalized_g2_err": "/entry/data/g2_derr",
    "xpcs/temporal_mean/scattering_2d": "/entry/data/frame_average",
    "xpcs/twotime/delay_list": "/entry/twotime/delay_difference",
    "xpcs/twotime/normalized_g2": "/entry/twotime/g2_from_two_time_corr_func",
    "xpcs/qmap/dynamic_roi_map": "/entry/instrument/masks/dynamic_roi_map",
    "xpcs/qmap/static_roi_map": "/entry/instrument/masks/dynamic_roi_map",
    "xpcs/qmap/dynamic_v_list_dim0": "/entry/instrument/masks/dynamic_q_list",
    "xpcs/qmap/static_v_list_dim0": "/entry/instrument/masks/dynamic_q_list",
    "xpcs/qmap/mask": "/entry/instrument/masks/pixel_mask",
    "xpcs/qmap/pixel_size": "/entry/instrument/detector_1/x_pixel_size",
    "xpcs/qmap/detector_distance": "/entry/instrument/detector_1/distance",
}
"""Soft links at the paths where tools of the APS look."""


def write_nexus(path: Path, analysis: Analysis, *, start_time: float | None = None) -> None:
    """Write an analysis as one NeXus file, whole or not at all.

    Parameters
    ----------
    path : of the file
    analysis : with all its arrays and tables
    start_time : of the run, s since 1970

    Notes
    -----
    Contributed definition NXxpcs: beam centre and pixel size in m, two-time functions with the ROI as last axis
    (``one_array_q_last``), baseline 1, first frame at the lower left. Denoised results stand beside the measured ones
    under ``entry/denoised``, every published table under ``entry/tables``. Every NXdata names the axes of its signal.
    The default plot is g2 against the delay, one curve for each ROI; ``entry/maps`` shows the two-time functions with
    the ROI first, as viewers page through pictures.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with h5py.File(draft, "w") as file:
        file.attrs["default"] = "entry"
        entry = group_of_class(file, "entry", "NXentry")
        entry.attrs["default"] = "curves"
        entry["definition"] = "NXxpcs"
        entry["entry_identifier"] = str(analysis.resolved.get("scan_id") or "")
        entry["entry_identifier_uuid"] = str(analysis.resolved.get("raw_uid", ""))
        if start_time is not None:
            entry["start_time"] = datetime.fromtimestamp(start_time, UTC).isoformat()
        _sample(entry, analysis)
        _instrument(entry, analysis)
        _data(entry, analysis)
        _two_time(entry, analysis)
        _denoised(entry, analysis)
        _plots(entry, analysis)
        write_tables(entry, analysis)
        write_process(entry, analysis)
        _aps_paths(file, analysis)
    draft.replace(path)


def _sample(entry: h5py.Group, analysis: Analysis) -> None:
    sample = group_of_class(entry, "sample", "NXsample")
    sample["name"] = str(analysis.resolved.get("sample") or "")


def _instrument(entry: h5py.Group, analysis: Analysis) -> None:
    geometry = {row["name"]: float(row["value"]) for row in analysis.resolved["geometry"]}
    frame_time, pixel = float(analysis.resolved["frame_time_s"]), geometry["pixel_size_m"]
    instrument = group_of_class(entry, "instrument", "NXinstrument")
    beam = group_of_class(instrument, "incident_beam", "NXbeam")
    _value(beam, "incident_energy", KEV_ANGSTROM / geometry["wavelength_angstrom"], "keV")
    _value(beam, "incident_wavelength", geometry["wavelength_angstrom"], "angstrom")
    detector = group_of_class(instrument, "detector_1", "NXdetector")
    detector["description"] = str(analysis.resolved.get("detector", ""))
    _value(detector, "distance", geometry["distance_m"], "m")
    _value(detector, "frame_time", frame_time, "s")
    _value(detector, "count_time", frame_time, "s")
    _value(detector, "x_pixel_size", pixel, "m")
    _value(detector, "y_pixel_size", pixel, "m")
    _value(detector, "beam_center_x", geometry["beam_center_x"] * pixel, "m")
    _value(detector, "beam_center_y", geometry["beam_center_y"] * pixel, "m")
    masks = group_of_class(instrument, "masks", "NXnote")
    fits = analysis.tables["fits"]
    _value(masks, "dynamic_roi_map", analysis.arrays["roi_labels"], "au")
    _value(masks, "static_roi_map", analysis.arrays["roi_labels"], "au")
    _value(masks, "pixel_mask", analysis.arrays["mask"].astype(np.uint8), "au")
    _value(masks, "dynamic_q_list", fits["q"].to_numpy(float), "1/angstrom")
    _value(masks, "static_q_list", fits["q"].to_numpy(float), "1/angstrom")
    _value(masks, "dynamic_phi_list", fits["phi"].to_numpy(float), "degree")


def _data(entry: h5py.Group, analysis: Analysis) -> None:
    data = group_of_class(entry, "data", "NXdata")
    data.attrs["signal"] = "g2"
    delay, g2, error = by_roi(curve_table(analysis, "g2_multitau"), "g2", "g2_error")
    _value(data, "g2", g2, "1", storage_mode="one_array")
    _value(data, "g2_derr", error, "1", storage_mode="one_array")
    _value(data, "delay_difference", delay, "frames", storage_mode="one_array")
    _axes(data, analysis, delay=delay)
    _value(data, "frame_average", analysis.arrays["mean_frame"], "counts")
    pixels = analysis.tables["fits"]["n_pixels"].to_numpy(float)
    _value(data, "frame_sum", analysis.arrays["intensity"] @ pixels, "counts")


def _two_time(entry: h5py.Group, analysis: Analysis) -> None:
    group = group_of_class(entry, "twotime", "NXdata")
    group.attrs["signal"] = "two_time_corr_func"
    _correlation(group, analysis.arrays["two_time"])
    delay, g2, error = by_roi(analysis.tables["g2"], "g2_raw", "g2_raw_error")
    _one_time(group, delay, g2, error)
    _axes(group, analysis)


def _denoised(entry: h5py.Group, analysis: Analysis) -> None:
    if "two_time_denoised" not in analysis.arrays:
        return
    group = group_of_class(entry, "denoised", "NXdata")
    group.attrs["signal"] = "two_time_corr_func"
    _correlation(group, analysis.arrays["two_time_denoised"])
    spread = np.moveaxis(analysis.arrays["two_time_spread"], 0, -1)
    _large(group, "two_time_corr_func_errors", spread)
    _one_time(group, *by_roi(analysis.tables["g2"], "g2_denoised", "g2_denoised_error"))
    _axes(group, analysis)


def _plots(entry: h5py.Group, analysis: Analysis) -> None:
    """Groups whose first axis is the ROI, so that viewers show something sensible when the file is opened."""
    curves = group_of_class(entry, "curves", "NXdata")
    delay, g2, error = by_roi(curve_table(analysis, "g2_multitau"), "g2", "g2_error")
    curves.attrs["signal"] = "g2"
    _value(curves, "g2", g2.T, "1", interpretation="spectrum", long_name="g2")
    _value(curves, "g2_errors", error.T, "1")
    _axes(curves, analysis, delay=delay, roi_first=True)
    for name, source in (("maps", "twotime"), ("maps_denoised", "denoised")):
        if source not in entry:
            continue
        maps = group_of_class(entry, name, "NXdata")
        maps.attrs["signal"] = "two_time_corr_func"
        written = _roi_first(maps, entry[f"{source}/two_time_corr_func"])
        written.attrs["interpretation"] = "image"
        _axes(maps, analysis, roi_first=True)


def _roi_first(group: h5py.Group, c2: h5py.Dataset) -> h5py.Dataset:
    """A view (R, N, N) of an array (N, N, R), without a copy."""
    n, _, n_rois = c2.shape
    layout = h5py.VirtualLayout((n_rois, n, n), c2.dtype)
    source = h5py.VirtualSource(c2)
    for roi in range(n_rois):
        layout[roi] = source[:, :, roi]
    written = group.create_virtual_dataset(c2.name.rsplit("/", 1)[-1], layout, fillvalue=np.nan)
    written.attrs["units"] = "1"
    return written


def _axes(group: h5py.Group, analysis: Analysis, *, delay: NDArray[Any] | None = None, roi_first: bool = False) -> None:
    """Values along the axes of the signal, and the attributes by which readers find them.

    Parameters
    ----------
    delay : of curves, frames; None: the signal is a two-time function
    roi_first : whether the ROI is the first axis of the signal, or the last
    """
    step, q = float(analysis.resolved["frame_time_s"]), analysis.tables["fits"]["q"].to_numpy(float)
    if delay is None:
        seconds = np.arange(len(analysis.arrays["intensity"])) * step
        along = {"time_1": (seconds, "time t1"), "time_2": (seconds, "time t2")}
    else:
        along = {"delay": (delay * step, "delay")}
    for name, (values, words) in along.items():
        _value(group, name, values, "s", long_name=f"{words} (s)")
    _value(group, "q", q, "1/angstrom", long_name="q (1/angstrom)")
    names = ["q", *along] if roi_first else [*along, "q"]
    group.attrs["axes"] = np.array(names, object)
    for place, name in enumerate(names):
        group.attrs[f"{name}_indices"] = place
    if delay is not None and not roi_first:
        group.attrs["delay_difference_indices"] = names.index("delay")


def _correlation(group: h5py.Group, c2: NDArray[Any]) -> None:
    written = _large(group, "two_time_corr_func", np.moveaxis(c2, 0, -1))
    written.attrs["storage_mode"] = "one_array_q_last"
    written.attrs["baseline_reference"] = 1
    written.attrs["time_origin_location"] = "lower_left"
    written.attrs["populated_elements"] = "all"


def _one_time(group: h5py.Group, delay: NDArray[Any], g2: NDArray[Any], error: NDArray[Any]) -> None:
    for name, values in (("g2_from_two_time_corr_func", g2), ("g2_err_from_two_time_corr_func", error)):
        written = _value(group, name, values, "1", storage_mode="one_array_q_last", baseline_reference=1)
        written.attrs["first_point_for_fit"] = 0  # Lag 0 is shot noise and left out.
    _value(group, "delay_difference", delay, "frames")


def write_tables(entry: h5py.Group, analysis: Analysis) -> None:
    """Every published table as a group of columns below ``tables``."""
    tables = group_of_class(entry, "tables", "NXcollection")
    described = {node.name: node for node in NODES}
    for name, table in analysis.tables.items():
        group = group_of_class(tables, name, "NXcollection")
        group.attrs["description"] = described[name].description
        group.attrs["equation"] = described[name].equation
        for column in table.columns:
            values = table[column]
            text = values.dtype.kind not in "biuf"
            group.create_dataset(
                str(column),
                data=values.astype(str).to_numpy(object) if text else values.to_numpy(),
                dtype=h5py.string_dtype() if text else None,
            )


def write_process(entry: h5py.Group, analysis: Analysis) -> None:
    """Which software computed the numbers, and from what."""
    process = group_of_class(entry, "process", "NXprocess")
    process["program"] = "twotime"
    process["version"] = analysis.versions.get("twotime", "")
    process["ensemble"] = analysis.versions.get("ensemble", "")
    process["recipe"] = json.dumps(analysis.resolved)
    process["warnings"] = json.dumps(analysis.warnings)


def _aps_paths(file: h5py.File, analysis: Analysis) -> None:
    for place, target in LINKS.items():
        file[place] = h5py.SoftLink(target)
    geometry = {row["name"]: float(row["value"]) for row in analysis.resolved["geometry"]}
    n_rois = len(analysis.tables["fits"])
    qmap = file["xpcs/qmap"]
    qmap["beam_center_x"] = geometry["beam_center_x"]
    qmap["beam_center_y"] = geometry["beam_center_y"]
    for kind in ("dynamic", "static"):
        qmap[f"{kind}_v_list_dim1"] = np.zeros(1)
        qmap[f"{kind}_num_pts"] = np.array([n_rois, 1])
        qmap[f"{kind}_index_mapping"] = np.arange(n_rois)
    qmap["map_names"] = np.array([b"q", b"phi"])
    qmap["map_units"] = np.array(["Å⁻¹".encode(), "°".encode()])
    intensity = analysis.arrays["intensity"].astype(float)
    mean = intensity.mean(axis=1)
    file["xpcs/spatial_mean/intensity_vs_time"] = np.stack([np.arange(len(mean), dtype=float), mean])
    file["xpcs/temporal_mean/scattering_1d"] = intensity.mean(axis=0)[None]
    file["xpcs/temporal_mean/scattering_1d_segments"] = intensity.mean(axis=0)[None]
    frames = analysis.resolved["recipe"]["frames"]
    for kind in ("multitau", "twotime"):
        file[f"xpcs/{kind}/config/stride_frame"] = int(frames["stride"])
        file[f"xpcs/{kind}/config/avg_frame"] = int(frames.get("bin", 1))
    file["xpcs/twotime/processed_bins"] = np.arange(1, n_rois + 1)
    source = h5py.VirtualSource(file["entry/twotime/two_time_corr_func"])
    n = source.shape[0]
    for roi in range(n_rois):
        layout = h5py.VirtualLayout((n, n), np.float32)
        layout[:] = source[:, :, roi]
        file.create_virtual_dataset(f"xpcs/twotime/correlation_map/c2_{roi + 1:05d}", layout, fillvalue=np.nan)


def group_of_class(parent: Any, name: str, kind: str) -> h5py.Group:
    """A new group with a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _value(group: h5py.Group, name: str, value: Any, units: str, **attributes: Any) -> h5py.Dataset:
    written = group.create_dataset(name, data=value)
    written.attrs["units"] = units
    for key, attribute in attributes.items():
        written.attrs[key] = attribute
    return written


def _large(group: h5py.Group, name: str, array: NDArray[Any]) -> h5py.Dataset:
    """An array (N, N, R), one ROI to a chunk as far as that is sensible."""
    side = min(1000, array.shape[0])
    written = group.create_dataset(name, data=array, chunks=(side, side, 1), compression="gzip", compression_opts=1)
    written.attrs["units"] = "1"
    return written
