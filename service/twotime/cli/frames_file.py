"""``twotime frames denoise FILE``: frames that lie in a file, denoised into another one, without Tiled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from frame_denoiser import FrameDenoiser, find_peaks
from frame_denoiser.thinning import usable_pixels
from twotime.cli.frames_output import HDF5_ENDINGS, Denoised, HDF5Output, ImageOutput
from twotime.cli.progress import ProgressBar
from twotime.errors import UnusableRun
from twotime.export.files import IMAGE_ENDINGS
from twotime.files import open_frames
from twotime.files.series import Series
from twotime.xpcs import FrameStatistics


def denoise_file(
    path: Path,
    out: Path,
    version: Path | None,
    sum_frames: int,
    gain: float | None,
    significance: float,
    console: Console,
) -> None:
    """Denoise the frames of a file and write rates, errors, residuals and peaks beside the raw counts.

    HDF5 and NeXus files hold all of it. A TIFF or EDF file holds the rates; files of the same name with ``_raw``,
    ``_error``, ``_residual`` and ``_peaks.csv`` added lie beside it.

    Parameters
    ----------
    path : see `twotime.files.open_frames`
    out : HDF5, NeXus, TIFF or EDF file to write; appears when all of it is written
    version : folder of a network; None: the shipped one
    sum_frames : frames added to one image; a last image of fewer is left out
    gain : detector units for each photon; None: frames hold photons
    significance : of the weakest peak, standard deviations

    Raises
    ------
    TwotimeError
        If the file cannot be used.
    ValueError
        If the frames hold no counts.
    """
    suffix = out.suffix.lower()
    if suffix not in (*HDF5_ENDINGS, *IMAGE_ENDINGS):
        known = ", ".join((*HDF5_ENDINGS, *IMAGE_ENDINGS))
        raise ValueError(f"out is {str(out)!r}, expected a name that ends with one of {known}.")
    source, denoiser = open_frames(path), FrameDenoiser.load(version)
    images = source.facts.shape[0] // sum_frames
    if images == 0:
        raise ValueError(f"sum_frames is {sum_frames}, expected at most {source.facts.shape[0]}, the frames of {path}.")
    mask = _usable(source)
    about = Denoised(path, denoiser.version, mask, sum_frames, images)
    n_peaks = 0
    with ProgressBar(console) as bar, (HDF5Output if suffix in HDF5_ENDINGS else ImageOutput)(out, about) as output:
        for number, image in enumerate(_sums(source, sum_frames, images)):
            found = denoiser.denoise(np.where(mask, image, 0), mask, frames_summed=sum_frames, gain=gain)
            peaks = find_peaks(found, mask, significance=significance)
            output.add(found, peaks)
            n_peaks += len(peaks)
            for sentence in found.unlike[0]:
                console.print(f"image {number}: {sentence}", style="yellow", highlight=False, markup=False)
            bar("denoising", (number + 1) / images)
    written = ", ".join(str(one) for one in output.files)
    console.print(f"Wrote {images} denoised images and {n_peaks} peaks into {written}")


def _usable(source: Series) -> NDArray[np.bool_]:
    """Pixels that are neither masked by the file, nor dead, hot, negative or saturated."""
    statistics = FrameStatistics()
    for _, block in source.blocks(0, source.facts.shape[0]):
        statistics.accumulate(np.asarray(block))
    known = source.pixel_mask()
    usable = ~(statistics.negative | statistics.saturated) & usable_pixels(statistics.total, statistics.n_frames)
    usable = usable if known is None else usable & known
    if not usable.any():
        raise UnusableRun(f"{source.path} holds no usable pixel: all are masked, negative, saturated or dead.")
    return np.asarray(usable)


def _sums(source: Series, sum_frames: int, images: int) -> Iterator[NDArray[Any]]:
    """Images (H, W), each the sum of some frames; negative counts, which mark gaps, are zero."""
    for number in range(images):
        frames = source.read(range(number * sum_frames, (number + 1) * sum_frames))
        yield np.maximum(frames, 0).sum(axis=0, dtype=np.float64 if frames.dtype.kind == "f" else np.int64)
