"""The sparse "compressed multifile" (.cmp) of CHX: for each frame the places and values of its counts.

A header of 1024 bytes (magic, eight doubles of geometry, seven unsigned integers), then for each frame the number of
counts, their flat places as int32 and their values. What its documentation calls rows are the columns of the image.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.files.series import Series
from twotime.recipe import Found
from twotime.xpcs.types import Geometry

MAGIC = b"Version-COMP0001"
_HEADER = struct.Struct("@16s8d7I916x")
_VALUES: dict[int, np.dtype[Any]] = {2: np.dtype(np.uint16), 4: np.dtype(np.uint32), 8: np.dtype(np.float64)}


class Multifile(Series):
    """Frames of a ``.cmp`` file; they stand in the analysis frame already.

    Raises
    ------
    UnusableRun
        If the file is no multifile, or ends within a frame.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        if len(self._bytes) < _HEADER.size or bytes(self._bytes[:16]) != MAGIC:
            raise UnusableRun(f"{path} is no compressed multifile: it does not begin with {MAGIC.decode()}.")
        _, *numbers = _HEADER.unpack(self._bytes[: _HEADER.size].tobytes())
        center_x, center_y, _, distance, frame_time, wavelength, pixel, _ = numbers[:8]
        width, columns, rows = (int(number) for number in numbers[8:11])
        if width not in _VALUES:
            raise UnusableRun(f"{path} says that its values have {width} bytes; they must have 2, 4 or 8.")
        self._dtype = _VALUES[width]
        recorded = {
            "beam_center_y": center_y,
            "beam_center_x": center_x,
            "distance_m": distance,
            "wavelength_angstrom": wavelength,
            "pixel_size_m": pixel,
            "frame_time_s": frame_time,
        }
        geometry = {name: Found(value, f"header of {path.name}") for name, value in recorded.items()}
        self._starts = self._indexed(path)
        shape = (len(self._starts), rows, columns)
        super().__init__(path, shape, self._dtype, geometry, "multifile_image")

    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W)."""
        _, height, width = self.facts.shape
        frames = np.zeros((len(numbers), height * width), self._dtype)
        for k, number in enumerate(numbers):
            places, values = self._events(number)
            frames[k, places] = values
        return frames.reshape(-1, height, width)

    def events(self, numbers: range) -> sp.csr_array:
        """Frames of these numbers as a sparse array (k, H W)."""
        found = [self._events(number) for number in numbers]
        ends = np.concatenate([[0], np.cumsum([len(places) for places, _ in found])])
        places = np.concatenate([places for places, _ in found]) if found else np.zeros(0, np.int32)
        values = np.concatenate([values for _, values in found]) if found else np.zeros(0, self._dtype)
        _, height, width = self.facts.shape
        return sp.csr_array((values, places, ends), shape=(len(numbers), height * width))

    def _events(self, number: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        start = self._starts[number]
        count = int(self._bytes[start : start + 4].view(np.uint32)[0])
        places = self._bytes[start + 4 : start + 4 + 4 * count].view(np.int32)
        values = self._bytes[start + 4 + 4 * count : start + 4 + (4 + self._dtype.itemsize) * count].view(self._dtype)
        _, height, width = self.facts.shape
        if count and not (int(places.min()) >= 0 and int(places.max()) < height * width):
            raise ValueError(f"frame {number} has counts outside the detector")
        return places, values

    def _indexed(self, path: Path) -> NDArray[np.int64]:
        """Where each frame begins."""
        starts, position, end = [], _HEADER.size, len(self._bytes)
        while position < end:
            starts.append(position)
            if position + 4 > end:
                raise UnusableRun(f"{path} ends within frame {len(starts) - 1}; was it copied while it was written?")
            count = int.from_bytes(self._bytes[position : position + 4].tobytes(), "little")
            position += 4 + (4 + self._dtype.itemsize) * count
            if position > end:
                raise UnusableRun(f"{path} ends within frame {len(starts) - 1}; was it copied while it was written?")
        return np.asarray(starts, np.int64)


def write_multifile(path: Path, frames: NDArray[Any], geometry: Geometry) -> None:
    """Write frames (N, H, W) of the analysis frame as a multifile, whole or not at all."""
    width = 8 if frames.dtype.kind == "f" else 2 if frames.max(initial=0) < 2**16 else 4
    _, rows, columns = frames.shape
    header = _HEADER.pack(
        MAGIC,
        geometry.beam_center_x,
        geometry.beam_center_y,
        geometry.frame_time_s,
        geometry.distance_m,
        geometry.frame_time_s,
        geometry.wavelength_angstrom,
        geometry.pixel_size_m,
        geometry.pixel_size_m,
        width,
        columns,
        rows,
        0,
        columns,
        0,
        rows,
    )
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        file.write(header)
        for frame in frames:
            flat = frame.ravel()
            places = np.flatnonzero(flat).astype(np.int32)
            file.write(np.uint32(len(places)).tobytes())
            file.write(places.tobytes())
            file.write(flat[places].astype(_VALUES[width]).tobytes())
    draft.replace(path)
