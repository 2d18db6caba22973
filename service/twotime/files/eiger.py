"""Series of an Eiger: a master file that holds the geometry and links to data files of so many frames each."""

import re
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the compressions that detectors write
import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.files.chunks import FrameBuffers, read_frames
from twotime.files.packed import PackedFrames, read_packed
from twotime.files.series import Series
from twotime.recipe import Found
from twotime.xpcs.orientation import Orientation

GEOMETRY = {
    "beam_center_y": "entry/instrument/detector/beam_center_y",
    "beam_center_x": "entry/instrument/detector/beam_center_x",
    "distance_m": "entry/instrument/detector/detector_distance",
    "wavelength_angstrom": "entry/instrument/beam/incident_wavelength",
    "pixel_size_m": "entry/instrument/detector/x_pixel_size",
    "frame_time_s": "entry/instrument/detector/frame_time",
}
PIXEL_MASK = "entry/instrument/detector/detectorSpecific/pixel_mask"


def master_of(data_file: Path) -> Path | None:
    """The master file of a data file ``<series>_data_000001.h5``, or the master itself; None where there is none."""
    if data_file.name.endswith("_master.h5"):
        return data_file if data_file.is_file() else None
    match = re.fullmatch(r"(.+)_data_\d+\.h5", data_file.name)
    if match is None:
        return None
    master = data_file.with_name(f"{match[1]}_master.h5")
    return master if master.is_file() else None


def master_geometry(master: Path) -> dict[str, Found]:
    """What a master file records of the geometry; nothing where it cannot be read."""
    found: dict[str, Found] = {}
    try:
        with h5py.File(master, "r", locking=False) as file:
            for name, place in GEOMETRY.items():
                node = file.get(place)
                if isinstance(node, h5py.Dataset) and node.size == 1 and node.dtype.kind in "fiu":
                    value = float(np.asarray(node[()]).ravel()[0])
                    found[name] = Found(value, f"master file {master.name} {place}")
    except OSError:
        return {}
    return found


def master_pixel_mask(master: Path, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Pixels that a master file lets pass, (H, W); None where it says nothing.

    The bits of the mask are 1 gap, 2 dead, 4 under-responsive, 8 over-responsive, 16 noisy: any of them leaves out.
    """
    try:
        with h5py.File(master, "r", locking=False) as file:
            node = file.get(PIXEL_MASK)
            if not isinstance(node, h5py.Dataset) or node.shape != shape:
                return None
            return np.asarray(node[()] == 0)
    except OSError:
        return None


class EigerSeries(Series):
    """Frames of a master file, read from its data files in the order of their numbers.

    Parameters
    ----------
    master : path of ``<series>_master.h5``
    detector, orientation : see `Series`

    Raises
    ------
    UnusableRun
        If the master cannot be read or links to no frames.
    """

    def __init__(self, master: Path, detector: str = "eiger_image", orientation: Orientation = "raw") -> None:
        self._parts = _data_files(master)
        counts = [_count(part) for part in self._parts]
        known = [count for count in counts if count is not None]
        if not known:
            raise UnusableRun(f"{master} links to no data file that can be read; are they beside it?")
        # A file that is gone held as many frames as the others.
        lengths = [max(one[0] for one in known) if count is None else count[0] for count in counts]
        self._ends = np.cumsum(lengths)
        self._buffers = FrameBuffers()
        height, width, dtype = known[0][1:]
        shape = (int(self._ends[-1]), height, width)
        super().__init__(master, shape, dtype, master_geometry(master), detector, orientation)

    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W)."""
        own = np.asarray(numbers)
        owner = np.searchsorted(self._ends, own, side="right")
        parts = []
        for k in np.unique(owner):
            within = own[owner == k] - (self._ends[k - 1] if k else 0)
            path, place = self._parts[k]
            with h5py.File(path, "r", locking=False) as file:
                if within[-1] >= file[place].shape[0]:
                    raise ValueError(f"{path.name} ends before frame {own[owner == k][-1]}")
                parts.append(read_frames(file[place], within, self._buffers))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def packed(self, numbers: range) -> PackedFrames | None:
        """Those of these frames that lie in the file of the first, as they stand there."""
        own = np.asarray(numbers)
        owner = np.searchsorted(self._ends, own, side="right")
        path, place = self._parts[owner[0]]
        within = own[owner == owner[0]] - (self._ends[owner[0] - 1] if owner[0] else 0)
        try:
            with h5py.File(path, "r", locking=False) as file:
                whole = within[-1] < file[place].shape[0]
                return read_packed(file[place], within, path.name, self._buffers) if whole else None
        except (OSError, KeyError):
            return None

    def pixel_mask(self) -> NDArray[np.bool_] | None:
        """Pixels that the master file lets pass."""
        return master_pixel_mask(self.path, (self.facts.shape[1], self.facts.shape[2]))


def _data_files(master: Path) -> list[tuple[Path, str]]:
    """Path and dataset of each data file that a master links to, in order."""
    try:
        with h5py.File(master, "r", locking=False) as file:
            group = file.get("entry/data")
            if not isinstance(group, h5py.Group):
                raise UnusableRun(f"{master} holds no entry/data; give the master file of an Eiger series.")
            parts = []
            for name in sorted(group):
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    parts.append((master.parent / link.filename, link.path))
                elif isinstance(group.get(name), h5py.Dataset):
                    parts.append((master, f"entry/data/{name}"))
            return parts
    except OSError as error:
        raise UnusableRun(f"{master} cannot be read as HDF5 ({error}).") from None


def _count(part: tuple[Path, str]) -> tuple[int, int, int, np.dtype[Any]] | None:
    path, place = part
    try:
        with h5py.File(path, "r", locking=False) as file:
            node = file[place]
            return int(node.shape[0]), int(node.shape[-2]), int(node.shape[-1]), node.dtype
    except (OSError, KeyError):
        return None
