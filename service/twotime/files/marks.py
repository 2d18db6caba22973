"""The mark of files that hold denoised frames instead of measured ones."""

from collections.abc import Sequence
from pathlib import Path

from twotime.hdf5 import HDF5File
from twotime.results import DENOISED_FRAMES


def denoised_file(path: Path, dataset: str, folders: Sequence[Path] = ()) -> str:
    """Where an HDF5 file says that its frames are denoised ones; empty where it does not, or cannot be read.

    Parameters
    ----------
    path : of the file
    dataset : that holds the frames
    folders : see `twotime.hdf5.HDF5File`
    """
    try:
        with HDF5File(path, folders) as file:
            marked = DENOISED_FRAMES in file.group("/").attrs or any(
                DENOISED_FRAMES in one.attrs or DENOISED_FRAMES in one.file.attrs for one in file.frames(dataset)
            )
    except (OSError, KeyError):
        return ""  # Whoever reads the frames says what is wrong.
    return f"attribute {DENOISED_FRAMES} of {path.name}" if marked else ""
