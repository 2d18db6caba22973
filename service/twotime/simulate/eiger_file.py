"""Detector files as an Eiger writes them: a master, and data files of so many frames each."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.types import Geometry

DATASET = "entry/data/data"


class EigerFile:
    """A series of frames on disk, written as it comes.

    Each data file holds ``entry/data/data`` with one bitshuffle-LZ4 chunk per frame, open for readers while it grows;
    the master file links to them and holds the geometry.

    Parameters
    ----------
    folder : made where it is missing
    name : of the series
    geometry : for the master file
    shape : (H, W)
    dtype : of the counts
    frames_per_file : of each data file
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        geometry: Geometry,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        frames_per_file: int = 1000,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.name = name
        self.geometry = geometry
        self.shape = shape
        self.dtype = dtype
        self.frames_per_file = frames_per_file
        self.n_frames = 0
        self.paths: list[Path] = []
        self._file: h5py.File | None = None
        self._dataset: h5py.Dataset | None = None

    @property
    def master(self) -> Path:
        """Path of the master file."""
        return self.folder / f"{self.name}_master.h5"

    def append(self, frames: NDArray[Any]) -> None:
        """Write frames (k, H, W) at the end and make them visible to readers."""
        while len(frames):
            filled = self.n_frames % self.frames_per_file
            if filled == 0:
                self._next_file()
            now = frames[: self.frames_per_file - filled]
            dataset = self._dataset
            assert dataset is not None
            dataset.resize(filled + len(now), axis=0)
            dataset[filled:] = now
            dataset.flush()
            self.n_frames += len(now)
            frames = frames[len(now) :]

    def close(self) -> None:
        """End the last data file and write the master file."""
        if self._file is not None:
            self._file.close()
        geometry = self.geometry
        with h5py.File(self.master, "w") as master:
            for number, path in enumerate(self.paths, start=1):
                master[f"entry/data/data_{number:06d}"] = h5py.ExternalLink(path.name, DATASET)
            detector = master.create_group("entry/instrument/detector")
            for name, value in (
                ("beam_center_x", geometry.beam_center_x),
                ("beam_center_y", geometry.beam_center_y),
                ("detector_distance", geometry.distance_m),
                ("frame_time", geometry.frame_time_s),
                ("count_time", geometry.frame_time_s),
                ("x_pixel_size", geometry.pixel_size_m),
                ("y_pixel_size", geometry.pixel_size_m),
            ):
                detector[name] = value
            master["entry/instrument/beam/incident_wavelength"] = geometry.wavelength_angstrom

    def _next_file(self) -> None:
        if self._file is not None:
            self._file.close()
        path = self.folder / f"{self.name}_data_{len(self.paths) + 1:06d}.h5"
        self._file = h5py.File(path, "w", libver="latest")
        self._dataset = self._file.create_dataset(
            DATASET,
            (0, *self.shape),
            self.dtype,
            maxshape=(None, *self.shape),
            chunks=(1, *self.shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
        self._file.swmr_mode = True
        self.paths.append(path)


def read_frames_file(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Frames and geometry of a measured series in one HDF5 file.

    Parameters
    ----------
    path : with the dataset ``entry/data/data`` and the geometry in attributes of ``entry``

    Raises
    ------
    ValueError
        If the dataset or an attribute is missing.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            attributes = dict(file["entry"].attrs)
            geometry = Geometry(
                beam_center_y=float(attributes["beam_center_y_px"]),
                beam_center_x=float(attributes["beam_center_x_px"]),
                distance_m=float(attributes["detector_distance_m"]),
                wavelength_angstrom=float(attributes["wavelength_A"]),
                pixel_size_m=float(attributes["pixel_size_m"]),
                frame_time_s=float(attributes["frame_time_s"]),
            )
            return file[DATASET][:], geometry
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5 ({error}); give a file of measured frames.") from None
    except KeyError as error:
        raise ValueError(
            f"{path} lacks {error}; it needs the dataset {DATASET} and, as attributes of entry, beam_center_y_px, "
            "beam_center_x_px, detector_distance_m, wavelength_A, pixel_size_m and frame_time_s."
        ) from None
