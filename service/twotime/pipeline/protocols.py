"""What the route needs from the outside world."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError
from twotime.recipe import RunFacts
from twotime.results import Analysis
from twotime.xpcs.mask import FrameStatistics
from twotime.xpcs.pixels import CountMatrix


class PackedBlock(Protocol):
    """Frames as they stand in a file, to be counted without being unpacked whole; `numpy.asarray` unpacks them."""

    @property
    def name(self) -> str:
        """Of the file."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        ...

    def __len__(self) -> int: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...

    def count(self, statistics: FrameStatistics, matrix: CountMatrix, row: int) -> int:
        """Take the frames into statistics and, from row `row` on, into a matrix; how many, up to the first damaged."""
        ...

    def unpacked(self, own: slice = slice(None)) -> NDArray[Any]:
        """These of the frames, (k, H, W)."""
        ...


Block = NDArray[Any] | PackedBlock


class FrameSource(Protocol):
    """Detector frames of one run, and what the run says of them."""

    @property
    def facts(self) -> RunFacts:
        """What the run says of itself."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        ...

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, Block]]:
        """Frames `start`, `start + stride`, ... below `stop`, in order, as (number of the first, (k, H, W) counts).

        What is compressed may come as it is, and its damage be found when it is counted.

        Raises
        ------
        DamagedFrames
            At the first frame that is not there or cannot be read; those before it have been given.
        """
        ...

    def pixel_mask(self) -> NDArray[np.bool_] | None:
        """What the detector itself masks, (H, W) as it writes frames, True where a pixel can be used; None: unknown."""
        ...

    def fallback(self) -> "FrameSource | None":
        """The same frames by another way, for when these repeat themselves; None where there is none."""
        ...


@dataclass(frozen=True)
class LabelMap:
    """Labels 1 ... R with what is known of them; None where nothing is."""

    labels: NDArray[np.int32]
    q: tuple[float, ...] | None = None
    phi: tuple[float, ...] | None = None


class Library(Protocol):
    """Masks and label arrays that recipes name; each method raises `RecipeError` where there is none of that name."""

    def mask(self, name: str, version: int | None, detector: str) -> tuple[NDArray[np.bool_], int]:
        """A mask of the beamline's registry, True where a pixel can be used, and its version; None: the newest."""
        ...

    def mask_file(self, name: str) -> NDArray[np.bool_]:
        """A mask from a file."""
        ...

    def labels(self, reference: str) -> NDArray[np.int32]:
        """A label array from a file or, as ``tiled:path``, from Tiled."""
        ...

    def named_labels(self, name: str) -> NDArray[np.int32]:
        """A named ROI mask of the site, see `twotime.xpcs.roi.shifted_labels`."""
        ...

    def qmap(self, name: str) -> LabelMap:
        """The dynamic bins of an APS qmap file."""
        ...


class NoLibrary:
    """A library of nothing."""

    def mask(self, name: str, version: int | None, detector: str) -> tuple[NDArray[np.bool_], int]:
        """Refuse."""
        asked = "" if version is None else f", version {version},"
        raise _no_library(f"masks.registry names {name!r}{asked} for {detector}")

    def mask_file(self, name: str) -> NDArray[np.bool_]:
        """Refuse."""
        raise _no_library(f"masks.files names {name!r}")

    def labels(self, reference: str) -> NDArray[np.int32]:
        """Refuse."""
        raise _no_library(f"rois names the label array {reference!r}")

    def named_labels(self, name: str) -> NDArray[np.int32]:
        """Refuse."""
        raise _no_library(f"rois names the ROI mask {name!r}")

    def qmap(self, name: str) -> LabelMap:
        """Refuse."""
        raise _no_library(f"rois names the qmap {name!r}")


def _no_library(what: str) -> RecipeError:
    return RecipeError(f"{what}, but there is no library of masks here; give the values in the recipe itself.")


@dataclass(frozen=True)
class ScanVariable:
    """A scalar that a run records beside its frames, such as the temperature.

    Attributes
    ----------
    name : as the run has it
    unit : empty where the run does not say
    values : (N,) one for each frame of the run; NaN where it is not known
    """

    name: str
    unit: str
    values: NDArray[np.float64]


class Progress(Protocol):
    """Told how far an analysis has come; may raise `twotime.errors.Cancelled` to stop it."""

    def __call__(self, stage: str, fraction: float) -> None:
        """Take notice that `stage` is done up to `fraction` (0 to 1)."""
        ...


class ResultSink(Protocol):
    """Where results go."""

    def publish(self, analysis: Analysis) -> None:
        """Make the whole analysis visible, or nothing of it."""
        ...


def no_progress(stage: str, fraction: float) -> None:
    """Take no notice."""
