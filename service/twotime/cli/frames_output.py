"""Files that ``twotime frames denoise`` writes, image by image: one HDF5 file, or TIFF and EDF files side by side."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frame_denoiser import DenoisedFrames, Peak
from twotime.export.frame_images import ImageFile
from twotime.results import DENOISED_FRAMES, FRAME_IMAGES, FrameImage

HDF5_ENDINGS = (".h5", ".hdf5", ".nxs")
UNITS: dict[FrameImage, str] = {
    "raw": "counts",
    "rate": "counts per pixel",
    "error": "counts per pixel",
    "residual": "standard deviations",
}
PEAK_UNITS = {"frame": "image number"} | {
    field.name: "pixels" if field.name.split("_")[0] in ("row", "column", "width") else "counts"
    for field in fields(Peak)
}
PEAK_UNITS["significance"] = "standard deviations"


@dataclass(frozen=True)
class Denoised:
    """What is known of the images before the first is denoised.

    Attributes
    ----------
    source : file of the measured frames
    version : of the denoiser
    mask : (H, W), True where usable
    sum_frames : frames added to one image
    images : how many there are
    """

    source: Path
    version: str
    mask: NDArray[np.bool_]
    sum_frames: int
    images: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(F, H, W) of the images."""
        height, width = self.mask.shape
        return self.images, height, width


class HDF5Output:
    """An HDF5 file with ``entry/denoised``; it appears when all of it is written.

    Attributes
    ----------
    files : that are written
    """

    def __init__(self, out: Path, about: Denoised) -> None:
        self.files = (out,)
        self._about = about
        self._draft = out.with_name(f".{out.name}.partial")
        self._peaks: list[tuple[int, Peak]] = []
        self._written = 0

    def add(self, found: DenoisedFrames, peaks: list[Peak]) -> None:
        """Write the next image and keep its peaks."""
        for name, array in _images(found).items():
            self._group[name][self._written] = array
        self._group["unlike"][self._written] = " ".join(found.unlike[0])
        self._peaks += [(self._written, peak) for peak in peaks]
        self._written += 1

    def __enter__(self) -> Self:
        self._file = h5py.File(self._draft, "w")
        self._group = _prepared(self._file, self._about)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                _write_peaks(self._group, self._peaks)
            self._file.close()
            if kind is None:
                self._draft.replace(self.files[0])
        finally:
            self._draft.unlink(missing_ok=True)


class ImageOutput:
    """TIFF or EDF files: the rates in the named one, raw counts, errors and residuals beside it, peaks as CSV.

    Attributes
    ----------
    files : that are written
    """

    def __init__(self, out: Path, about: Denoised) -> None:
        self._about = about
        self._paths: dict[FrameImage, Path] = {
            name: out if name == "rate" else out.with_stem(f"{out.stem}_{name}") for name in FRAME_IMAGES
        }
        self._table = out.with_name(f"{out.stem}_peaks.csv")
        self.files = (*self._paths.values(), self._table)
        self._opened = ExitStack()
        self._peaks: list[tuple[int, Peak]] = []
        self._written = 0

    def add(self, found: DenoisedFrames, peaks: list[Peak]) -> None:
        """Write the next image into each file and keep its peaks."""
        about = self._about
        for name, array in _images(found).items():
            shown = np.where(about.mask, array, np.nan) if name == "raw" else array
            told = {"source": about.source.name, "frame_denoiser": about.version, "unit": UNITS[name]}
            first = self._written * about.sum_frames
            self._outputs[name].add(shown, frame_number=first, frames_summed=about.sum_frames, **told)
        self._peaks += [(self._written, peak) for peak in peaks]
        self._written += 1

    def __enter__(self) -> Self:
        shape = self._about.shape
        self._outputs = {
            name: self._opened.enter_context(ImageFile(path, name, shape)) for name, path in self._paths.items()
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, None)
        if kind is None:
            rows = [{"frame": number, **asdict(peak)} for number, peak in self._peaks]
            pd.DataFrame(rows, columns=list(PEAK_UNITS)).to_csv(self._table, index=False)


def _images(found: DenoisedFrames) -> dict[FrameImage, NDArray[np.float32]]:
    return {"raw": found.counts, "rate": found.rate, "error": found.error, "residual": found.residual}


def _prepared(file: h5py.File, about: Denoised) -> h5py.Group:
    """Group ``entry/denoised`` with empty datasets of all images, and the mask."""
    file.attrs["default"] = "entry"
    file.attrs[DENOISED_FRAMES] = True
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "denoised"})
    group = entry.create_group("denoised")
    group.attrs.update({"NX_class": "NXdata", "signal": "rate", "version": about.version, "source": about.source.name})
    group.attrs.update(
        {"frames_summed": about.sum_frames, "errors": "standard error, 68 % within one, 95 % within 1.96"}
    )
    shape = about.shape
    for name, units in UNITS.items():
        dataset = group.create_dataset(
            name, shape, np.float32, chunks=(1, *shape[1:]), compression="gzip", compression_opts=1, shuffle=True
        )
        dataset.attrs["units"] = units
    group["mask"] = about.mask
    group["mask"].attrs["description"] = "True where usable"
    group.create_dataset("unlike", shape[:1], h5py.string_dtype())
    return group


def _write_peaks(group: h5py.Group, rows: list[tuple[int, Peak]]) -> None:
    """Columns of the peak table, one row for each peak of each image."""
    peaks = group.create_group("peaks")
    peaks["frame"] = np.array([number for number, _ in rows], np.int64)
    for field in fields(Peak):
        peaks[field.name] = np.array([getattr(peak, field.name) for _, peak in rows], np.float64)
    for name, units in PEAK_UNITS.items():
        peaks[name].attrs["units"] = units
