"""Denoised frames as TIFF and EDF files: one quantity to a file, an image for each frame, float32, NaN where masked."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from twotime.results import DENOISED_FRAMES, FRAME_IMAGES, Analysis, FrameImage

TIFF_SUFFIXES, EDF_SUFFIXES = (".tif", ".tiff"), (".edf",)
LARGEST_TIFF = 2**32 - 2**20
"""Bytes that fit a TIFF file with offsets of 32 bits; a larger one is written as BigTIFF."""
_EDF_BLOCK = 512


class ImageFile:
    """A TIFF or EDF file that is written image by image, and appears when it is closed without an error.

    Parameters
    ----------
    path : of the file; its ending says which kind it is
    image : what the file holds
    shape : (F, H, W)

    Notes
    -----
    Every image carries the mark of denoised frames, by which correlation of them is refused: in the description of a
    TIFF page, in the header of an EDF block. The lines ``name=value`` of both say which frame it is.
    """

    def __init__(self, path: Path, image: FrameImage, shape: tuple[int, int, int]) -> None:
        self.path = path
        self._image = image
        self._draft = path.with_name(f".{path.name}.part")
        self._opened = ExitStack()
        self._written = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in EDF_SUFFIXES:
            self._edf = self._opened.enter_context(self._draft.open("wb"))
            self._write = self._write_edf
        else:
            large = 4 * int(np.prod(shape)) > LARGEST_TIFF
            self._tiff = self._opened.enter_context(tifffile.TiffWriter(self._draft, bigtiff=large))
            self._write = self._write_tiff

    def add(self, values: NDArray[Any], **about: str | int | float) -> None:
        """Write the next image, (H, W), with what there is to say about it."""
        told = {DENOISED_FRAMES: self._image, **about}
        self._write(np.ascontiguousarray(values, "<f4"), {name: str(value) for name, value in told.items()})
        self._written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._opened.close()
        if kind is None:
            self._draft.replace(self.path)
        else:
            self._draft.unlink(missing_ok=True)

    def _write_tiff(self, values: NDArray[np.float32], about: Mapping[str, str]) -> None:
        # Descriptions of TIFF are ASCII.
        lines = "".join(f"{name}={value}\n" for name, value in about.items()).encode("ascii", "replace")
        self._tiff.write(values, description=lines, software="twotime", metadata=None, photometric="minisblack")

    def _write_edf(self, values: NDArray[np.float32], about: Mapping[str, str]) -> None:
        height, width = values.shape
        header = {
            "HeaderID": f"EH:{self._written + 1:06d}:000000:000000",
            "Image": self._written + 1,
            "ByteOrder": "LowByteFirst",
            "DataType": "FloatValue",
            "Dim_1": width,
            "Dim_2": height,
            "Size": values.nbytes,
            **about,
        }
        lines = "".join(f"{name} = {_without_marks(str(value))} ;\n" for name, value in header.items())
        text = f"{{\n{lines}".encode("ascii", "replace")
        self._edf.write(text.ljust(-(-(len(text) + 2) // _EDF_BLOCK) * _EDF_BLOCK - 2) + b"}\n")
        self._edf.write(values.tobytes())


def write_images(path: Path, analysis: Analysis, image: FrameImage = "rate") -> None:
    """Write one quantity of all denoised frames as TIFF pages or EDF blocks, whole or not at all.

    Parameters
    ----------
    path : of the file, ``.tif``, ``.tiff`` or ``.edf``
    analysis : of the kind frames
    image : which quantity
    """
    values = analysis.arrays[FRAME_IMAGES[image]]
    mask = np.asarray(analysis.arrays["mask"], bool)
    common = {
        "unit": "1" if image == "residual" else "counts",
        "raw_uid": str(analysis.resolved.get("raw_uid", "")),
        "frame_denoiser": analysis.versions.get("frame_denoiser", ""),
    }
    variable = analysis.resolved.get("scan_variable")
    columns = ["frame_number", "frames_summed"] + (["scan_value"] if variable else [])
    if variable:
        common |= {"scan_variable": variable["name"], "scan_unit": variable["unit"]}
    rows = analysis.tables["frames"][columns].to_dict("records")
    with ImageFile(path, image, values.shape) as file:
        for frame, row in zip(values, rows, strict=True):
            shown = np.where(mask, frame, np.nan) if image == "raw" else frame
            file.add(shown, **common, **{str(name): value for name, value in row.items()})


def _without_marks(value: str) -> str:
    """A value that does not end its line or the header of an EDF block."""
    return "".join(" " if one in ";{}\n\r" else one for one in value)
