"""``twotime frames denoise FILE``: frames that lie in a file, denoised into another one, without Tiled."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from frame_denoiser import DenoisedFrames, FrameDenoiser, Peak, find_peaks
from frame_denoiser.thinning import usable_pixels
from twotime.cli.progress import ProgressBar
from twotime.errors import UnusableRun
from twotime.files import open_frames
from twotime.files.series import Series
from twotime.results import DENOISED_FRAMES
from twotime.xpcs import FrameStatistics

UNITS = {"raw": "counts", "rate": "counts per pixel", "error": "counts per pixel", "residual": "standard deviations"}
PEAK_UNITS = {"frame": "image number"} | {
    field.name: "pixels" if field.name.split("_")[0] in ("row", "column", "width") else "counts"
    for field in fields(Peak)
}
PEAK_UNITS["significance"] = "standard deviations"


def denoise_file(
    path: Path,
    out: Path,
    version: Path | None,
    sum_frames: int,
    gain: float | None,
    significance: float,
    console: Console,
) -> None:
    """Denoise the frames of a file and write rates, errors, residuals and peaks beside the raw counts.

    Parameters
    ----------
    path : see `twotime.files.open_frames`
    out : HDF5 file to write; appears when all of it is written
    version : folder of a network; None: the shipped one
    sum_frames : frames added to one image; a last image of fewer is left out
    gain : detector units for each photon; None: frames hold photons
    significance : of the weakest peak, standard deviations

    Raises
    ------
    TwotimeError
        If the file cannot be used.
    ValueError
        If the frames hold no counts.
    """
    if out.suffix.lower() not in (".h5", ".hdf5", ".nxs"):
        raise ValueError(f"out is {str(out)!r}, expected a name that ends with .h5, .hdf5 or .nxs.")
    source, denoiser = open_frames(path), FrameDenoiser.load(version)
    images = source.facts.shape[0] // sum_frames
    if images == 0:
        raise ValueError(f"sum_frames is {sum_frames}, expected at most {source.facts.shape[0]}, the frames of {path}.")
    mask = _usable(source)
    partial = out.with_name(f".{out.name}.partial")
    try:
        with ProgressBar(console) as bar, h5py.File(partial, "w") as file:
            group = _prepared(file, path, denoiser.version, mask, sum_frames, (images, *mask.shape))
            rows = []
            for number, image in enumerate(_sums(source, sum_frames, images)):
                found = denoiser.denoise(np.where(mask, image, 0), mask, frames_summed=sum_frames, gain=gain)
                _write(group, number, found)
                rows += [(number, peak) for peak in find_peaks(found, mask, significance=significance)]
                for sentence in found.unlike[0]:
                    console.print(f"image {number}: {sentence}", style="yellow", highlight=False, markup=False)
                bar("denoising", (number + 1) / images)
            _write_peaks(group, rows)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    console.print(f"Wrote {images} denoised images and {len(rows)} peaks into {out}")


def _usable(source: Series) -> NDArray[np.bool_]:
    """Pixels that are neither masked by the file, nor dead, hot, negative or saturated."""
    statistics = FrameStatistics()
    for _, block in source.blocks(0, source.facts.shape[0]):
        statistics.accumulate(np.asarray(block))
    known = source.pixel_mask()
    usable = ~(statistics.negative | statistics.saturated) & usable_pixels(statistics.total, statistics.n_frames)
    usable = usable if known is None else usable & known
    if not usable.any():
        raise UnusableRun(f"{source.path} holds no usable pixel: all are masked, negative, saturated or dead.")
    return np.asarray(usable)


def _sums(source: Series, sum_frames: int, images: int) -> Iterator[NDArray[Any]]:
    """Images (H, W), each the sum of some frames; negative counts, which mark gaps, are zero."""
    for number in range(images):
        frames = source.read(range(number * sum_frames, (number + 1) * sum_frames))
        yield np.maximum(frames, 0).sum(axis=0, dtype=np.float64 if frames.dtype.kind == "f" else np.int64)


def _prepared(
    file: h5py.File, path: Path, version: str, mask: NDArray[np.bool_], sum_frames: int, shape: tuple[int, ...]
) -> h5py.Group:
    """Group ``entry/denoised`` with empty datasets of all images, and the mask."""
    file.attrs["default"] = "entry"
    file.attrs[DENOISED_FRAMES] = True
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "denoised"})
    group = entry.create_group("denoised")
    group.attrs.update({"NX_class": "NXdata", "signal": "rate", "version": version, "source": path.name})
    group.attrs.update({"frames_summed": sum_frames, "errors": "standard error, 68 % within one, 95 % within 1.96"})
    for name, units in UNITS.items():
        dataset = group.create_dataset(
            name, shape, np.float32, chunks=(1, *shape[1:]), compression="gzip", compression_opts=1, shuffle=True
        )
        dataset.attrs["units"] = units
    group["mask"] = mask
    group["mask"].attrs["description"] = "True where usable"
    group.create_dataset("unlike", shape[:1], h5py.string_dtype())
    return group


def _write(group: h5py.Group, number: int, found: DenoisedFrames) -> None:
    for name, array in (
        ("raw", found.counts),
        ("rate", found.rate),
        ("error", found.error),
        ("residual", found.residual),
    ):
        group[name][number] = array
    group["unlike"][number] = " ".join(found.unlike[0])


def _write_peaks(group: h5py.Group, rows: list[tuple[int, Peak]]) -> None:
    """Columns of the peak table, one row for each peak of each image."""
    peaks = group.create_group("peaks")
    peaks["frame"] = np.array([number for number, _ in rows], np.int64)
    for field in fields(Peak):
        peaks[field.name] = np.array([getattr(peak, field.name) for _, peak in rows], np.float64)
    for name, units in PEAK_UNITS.items():
        peaks[name].attrs["units"] = units
