"""Opening frames by what the file is."""

from collections.abc import Sequence
from pathlib import Path

from twotime.errors import UnusableRun
from twotime.files.eiger import EigerSeries
from twotime.files.multifile import Multifile
from twotime.files.series import Series
from twotime.files.stacks import IMAGE_SUFFIXES, HDF5Stack, ImageStack, NumpyStack

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")


def open_frames(path: Path, folders: Sequence[Path] = ()) -> Series:
    """Frames in a file or a folder of images.

    Parameters
    ----------
    path : an Eiger master (``*_master.h5``), an HDF5 file with ``entry/data/data``, a ``.cmp`` multifile, a ``.npy``
        array, a TIFF or EDF file, or a folder of such images
    folders : where files that an HDF5 file links to may lie besides its own folder

    Raises
    ------
    UnusableRun
        If there is no such file, or it holds no frames.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return ImageStack(path)
    if not path.is_file():
        raise UnusableRun(f"There is no file {path}.")
    if path.name.endswith("_master.h5"):
        return EigerSeries(path, folders=folders)
    if suffix in HDF5_SUFFIXES:
        return HDF5Stack(path, folders)
    if suffix == ".cmp":
        return Multifile(path)
    if suffix == ".npy":
        return NumpyStack(path)
    if suffix in IMAGE_SUFFIXES:
        return ImageStack(path)
    raise UnusableRun(
        f"{path} is none of the files that hold frames: *_master.h5, {', '.join(HDF5_SUFFIXES)}, .cmp, .npy, "
        f"{', '.join(IMAGE_SUFFIXES)}, or a folder of images."
    )
