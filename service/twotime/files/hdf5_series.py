"""Frames of one HDF5 file, and of those that it links to."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.files.chunks import FrameBuffers, read_frames
from twotime.files.marks import denoised_file
from twotime.files.packed import PackedFrames, read_packed
from twotime.files.series import Series
from twotime.hdf5 import HDF5File, LeadsOutside
from twotime.recipe import Found
from twotime.xpcs.orientation import Orientation


class HDF5Series(Series):
    """Frames (N, H, W) of datasets, one after the other.

    Parameters
    ----------
    path : of the file
    places : of the datasets in it
    geometry, detector, orientation : see `Series`
    folders : where linked files may lie besides the folder of `path`

    Raises
    ------
    UnusableRun
        If none of the datasets can be read, or one of them leads outside the folders.
    """

    def __init__(
        self,
        path: Path,
        places: Sequence[str],
        geometry: dict[str, Found],
        detector: str,
        orientation: Orientation = "raw",
        folders: Sequence[Path] = (),
    ) -> None:
        self._folders = [path.resolve().parent, *folders]
        try:
            found = [_pieces(path, self._folders, place) for place in places]
        except OSError as error:
            raise UnusableRun(f"{path} cannot be read ({error}).") from None
        known = [piece for pieces in found for piece in pieces]
        if not known:
            raise UnusableRun(f"{path} links to no data file that can be read; are they beside it?")
        # A file that is gone held as many frames as the others.
        usual = max(length for (length, _, _), _ in known)
        self._pieces = [
            (place, number)
            for place, pieces in zip(places, found, strict=True)
            for number in range(max(1, len(pieces)))
        ]
        lengths = [length for pieces in found for length in ([shape[0] for shape, _ in pieces] or [usual])]
        self._ends = np.cumsum(lengths)
        self._buffers = FrameBuffers()
        (_, height, width), dtype = known[0]
        super().__init__(path, (int(self._ends[-1]), height, width), dtype, geometry, detector, orientation)
        self.facts = replace(self.facts, denoised=denoised_file(path, places[0], self._folders))

    def read(self, numbers: range) -> NDArray[Any]:
        """Frames of these numbers, (k, H, W)."""
        own = np.asarray(numbers)
        owner = np.searchsorted(self._ends, own, side="right")
        parts = []
        with HDF5File(self.path, self._folders) as file:
            for k in np.unique(owner):
                place, number = self._pieces[k]
                dataset = file.frames(place)[number]
                within = own[owner == k] - (self._ends[k - 1] if k else 0)
                if within[-1] >= dataset.shape[0]:
                    raise ValueError(f"{file.path_of(dataset).name} ends before frame {own[owner == k][-1]}")
                parts.append(read_frames(dataset, within, self._buffers))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def packed(self, numbers: range) -> PackedFrames | None:
        """Those of these frames that lie in the dataset of the first, as they stand there."""
        own = np.asarray(numbers)
        owner = np.searchsorted(self._ends, own, side="right")
        place, number = self._pieces[owner[0]]
        within = own[owner == owner[0]] - (self._ends[owner[0] - 1] if owner[0] else 0)
        try:
            with HDF5File(self.path, self._folders) as file:
                dataset = file.frames(place)[number]
                whole = within[-1] < dataset.shape[0]
                name = file.path_of(dataset).name
                return read_packed(dataset, within, name, self._buffers) if whole else None
        except (OSError, KeyError, IndexError):  # Reading them says what is wrong.
            return None


def _pieces(path: Path, folders: Sequence[Path], place: str) -> list[tuple[tuple[int, int, int], np.dtype[Any]]]:
    """Shape and type of each dataset behind a place; none where its file is gone or holds no frames."""
    try:
        with HDF5File(path, folders) as file:
            found = [(tuple(map(int, one.shape)), one.dtype) for one in file.frames(place)]
    except LeadsOutside:
        raise
    except (OSError, KeyError):
        return []
    return [((shape[0], shape[1], shape[2]), dtype) for shape, dtype in found if len(shape) == 3]
