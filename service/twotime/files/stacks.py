"""Stacks of images: NumPy arrays, HDF5 datasets, TIFF and EDF files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.files.hdf5_series import HDF5Series
from twotime.files.marks import denoised_file
from twotime.files.series import Series
from twotime.hdf5 import HDF5File
from twotime.recipe import Found
from twotime.results import DENOISED_FRAMES

DATASET = "entry/data/data"
ATTRIBUTES = {
    "beam_center_y": "beam_center_y_px",
    "beam_center_x": "beam_center_x_px",
    "distance_m": "detector_distance_m",
    "wavelength_angstrom": "wavelength_A",
    "pixel_size_m": "pixel_size_m",
    "frame_time_s": "frame_time_s",
}
"""Attributes of ``entry`` that hold the geometry of a plain HDF5 stack."""


class NumpyStack(Series):
    """Frames (N, H, W) of a ``.npy`` file, read without loading it whole."""

    def __init__(self, path: Path) -> None:
        try:
            self._frames = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise UnusableRun(f"{path} cannot be read as a NumPy array of numbers ({error}).") from None
        _check(path, self._frames.shape, self._frames.dtype)
        super().__init__(path, self._frames.shape, self._frames.dtype, {}, "stack_image")

    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W)."""
        return np.array(self._frames[numbers.start : numbers.stop : numbers.step])


class HDF5Stack(HDF5Series):
    """Frames (N, H, W) of ``entry/data/data`` in one HDF5 file, with the geometry in attributes of ``entry``.

    Parameters
    ----------
    path : of the file
    folders : where files that it links to may lie besides its own folder
    """

    def __init__(self, path: Path, folders: Sequence[Path] = ()) -> None:
        try:
            with HDF5File(path, [path.resolve().parent, *folders]) as file:
                for dataset in file.frames(DATASET):
                    _check(path, dataset.shape, dataset.dtype)
                attributes = dict(file.group("entry").attrs)
        except (OSError, KeyError) as error:
            mark = denoised_file(path, DATASET, [path.resolve().parent, *folders])
            if mark:
                raise UnusableRun(
                    f"{path} holds denoised frames ({mark}), which are neither correlated nor denoised again; "
                    "take the frames as the detector wrote them."
                ) from None
            raise UnusableRun(f"{path} holds no frames at {DATASET} ({error}).") from None
        geometry = {
            name: Found(float(attributes[own]), f"attribute {own} of {path.name}")
            for name, own in ATTRIBUTES.items()
            if own in attributes
        }
        super().__init__(path, [DATASET], geometry, "stack_image", folders=folders)


class ImageStack(Series):
    """Frames of TIFF or EDF files: one that holds them all, or a folder of files in the order of their names."""

    def __init__(self, path: Path) -> None:
        files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise UnusableRun(f"{path} holds no TIFF or EDF files.")
        self._places = [(file, k) for file in files for k in range(_frames_in(file))]
        first = self._image(0)
        _check(path, (len(self._places), *first.shape), first.dtype)
        super().__init__(path, (len(self._places), *first.shape), first.dtype, {}, "stack_image")

    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W)."""
        images = [self._image(number) for number in numbers]
        _, height, width = self.facts.shape
        for number, image in zip(numbers, images, strict=True):
            if image.shape != (height, width):
                raise ValueError(f"{self._places[number][0].name} has shape {image.shape}, others ({height}, {width})")
        return np.stack(images)

    def _image(self, number: int) -> NDArray[Any]:
        file, frame = self._places[number]
        try:
            with fabio.open(str(file)) as image:
                return np.array(image.get_frame(frame).data)
        except Exception as error:  # fabio raises whatever a damaged header leads to
            raise OSError(f"{file.name}: {error}") from None


IMAGE_SUFFIXES = (".tif", ".tiff", ".edf")


def _frames_in(file: Path) -> int:
    try:
        with fabio.open(str(file)) as image:
            marked, number = _is_denoised(image.header), int(image.nframes)
    except Exception as error:  # fabio raises whatever a damaged header leads to
        raise UnusableRun(f"{file} cannot be read as an image ({error}).") from None
    if marked:
        raise UnusableRun(
            f"{file} holds denoised frames (header {DENOISED_FRAMES}), which are neither correlated nor denoised "
            "again; take the frames as the detector wrote them."
        )
    return number


def _is_denoised(header: Mapping[str, Any]) -> bool:
    """Whether the header of an EDF block, or the description of a TIFF page, carries the mark."""
    return DENOISED_FRAMES in header or str(header.get("imageDescription", "")).startswith(DENOISED_FRAMES)


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if len(shape) != 3 or dtype.kind not in "uif":
        raise UnusableRun(
            f"{path} holds an array of shape {shape} and type {json.dumps(str(dtype))}, expected numbers "
            "(frames, rows, columns)."
        )
