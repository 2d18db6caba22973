"""Whole analyses as files, by the ending of their names."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from twotime.errors import RecipeError
from twotime.export.frame_images import EDF_SUFFIXES, TIFF_SUFFIXES, write_images
from twotime.export.frame_report import write_frame_pdf, write_frame_report, write_frame_text
from twotime.export.frames_nexus import write_frames_nexus
from twotime.export.logbook import write_logbook
from twotime.export.nexus import write_nexus
from twotime.export.pychx import HDF5_ENDINGS, write_pychx
from twotime.export.report import write_report
from twotime.export.report_pdf import write_pdf
from twotime.export.results_file import write_results
from twotime.results import Analysis, FrameImage

WRITERS: dict[str, Callable[[Path, Analysis], None]] = {
    ".nxs": write_nexus,
    ".h5": write_results,
    ".hdf5": write_results,
    ".html": write_report,
    ".pdf": write_pdf,
    ".txt": write_logbook,
}
"""NeXus (NXxpcs with the paths of the APS), one dataset for each published node, a report twice, its numbers."""

FRAME_WRITERS: dict[str, Callable[[Path, Analysis], None]] = {
    ".nxs": write_frames_nexus,
    ".h5": write_results,
    ".hdf5": write_results,
    ".html": write_frame_report,
    ".pdf": write_frame_pdf,
    ".txt": write_frame_text,
}
"""The same for denoised frames; TIFF and EDF files hold one quantity of them."""
IMAGE_ENDINGS = (*TIFF_SUFFIXES, *EDF_SUFFIXES)


class Dialect(StrEnum):
    """Names and layout of another program's files."""

    PYCHX = "pychx"


def check_name(path: Path, dialect: Dialect | None = None, image: FrameImage | None = None) -> None:
    """Refuse a name whose ending says no format, or not one for an `image`; raises `RecipeError`."""
    ending = path.suffix.lower()
    if dialect is Dialect.PYCHX:
        if ending not in ("", *HDF5_ENDINGS):
            raise RecipeError(
                f"pyCHX has no {ending} files; name a .h5 file, or a folder, which gets its CSV files too."
            )
    elif ending not in (*WRITERS, *IMAGE_ENDINGS):
        raise RecipeError(
            f"The file {path} has no known ending; .nxs gives NeXus, .h5 one dataset for each node, .html and "
            ".pdf a report with pictures, .txt its numbers, .tif and .edf denoised frames."
        )
    if image is not None and ending not in IMAGE_ENDINGS:
        raise RecipeError(
            f"The file {path.name} holds all quantities of denoised frames; image is for {', '.join(IMAGE_ENDINGS)}."
        )


def write_file(path: Path, analysis: Analysis, dialect: Dialect | None = None, image: FrameImage | None = None) -> None:
    """Write a whole analysis, whole or not at all; raises `RecipeError` where the ending says no format.

    Parameters
    ----------
    path : of the file; with `dialect` "pychx" also of a folder
    analysis : with all its arrays and tables
    dialect : of another program; None: as the ending says
    image : which quantity of denoised frames a TIFF or EDF file holds; None: the rate
    """
    check_name(path, dialect, image)
    ending = path.suffix.lower()
    if analysis.kind == "frames":
        _write_frames(path, analysis, dialect, image)
    elif ending in IMAGE_ENDINGS:
        raise RecipeError(
            f"The file {path.name} is for denoised frames, which an analysis of correlation functions has none of; "
            f"name one that ends with {', '.join(WRITERS)}."
        )
    else:
        write = write_pychx if dialect is Dialect.PYCHX else WRITERS[ending]
        write(path, analysis)


def _write_frames(path: Path, analysis: Analysis, dialect: Dialect | None, image: FrameImage | None) -> None:
    ending = path.suffix.lower()
    if dialect is None and ending in IMAGE_ENDINGS:
        write_images(path, analysis, image or "rate")
    elif dialect is None and ending in FRAME_WRITERS:
        FRAME_WRITERS[ending](path, analysis)
    else:
        raise RecipeError(
            f"The file {path.name} is for correlation functions, which an analysis of denoised frames has none of; "
            f"name one that ends with {', '.join((*FRAME_WRITERS, *IMAGE_ENDINGS))}."
        )
