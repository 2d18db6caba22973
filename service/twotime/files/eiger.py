"""Series of an Eiger: a master file that holds the geometry and links to data files of so many frames each."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.files.hdf5_series import HDF5Series
from twotime.hdf5 import HDF5File
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
        with HDF5File(master) as file:
            for name, place in GEOMETRY.items():
                with suppress(KeyError):
                    node = file.dataset(place)
                    if node.size == 1:
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
        with HDF5File(master) as file:
            node = file.dataset(PIXEL_MASK)
            return np.asarray(node[()] == 0) if node.shape == shape else None
    except (OSError, KeyError):
        return None


class EigerSeries(HDF5Series):
    """Frames of a master file, read from its data files in the order of their numbers.

    Parameters
    ----------
    master : path of ``<series>_master.h5``
    detector, orientation : see `Series`
    folders : where its data files may lie besides its own folder

    Raises
    ------
    UnusableRun
        If the master cannot be read, links to no frames, or to files outside the folders.
    """

    def __init__(
        self,
        master: Path,
        detector: str = "eiger_image",
        orientation: Orientation = "raw",
        folders: Sequence[Path] = (),
    ) -> None:
        super().__init__(master, _data_places(master), master_geometry(master), detector, orientation, folders)

    def pixel_mask(self) -> NDArray[np.bool_] | None:
        """Pixels that the master file lets pass."""
        return master_pixel_mask(self.path, (self.facts.shape[1], self.facts.shape[2]))


def _data_places(master: Path) -> list[str]:
    """The datasets of a master file, in order; some masters show all of them as a virtual one beside them."""
    try:
        with HDF5File(master) as file:
            names = sorted(file.group("entry/data"))
    except KeyError:
        raise UnusableRun(f"{master} holds no entry/data; give the master file of an Eiger series.") from None
    except OSError as error:
        raise UnusableRun(f"{master} cannot be read as HDF5 ({error}).") from None
    numbered = [name for name in names if re.fullmatch(r"data_\d+", name)]
    return [f"entry/data/{name}" for name in numbered or names]
