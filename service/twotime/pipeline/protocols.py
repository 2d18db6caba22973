"""What the route needs from the outside world."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twotime.recipe import RunFacts
from twotime.results import Analysis


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

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, NDArray[Any]]]:
        """Frames `start`, `start + stride`, ... below `stop`, in order, as (number of the first, (k, H, W) counts)."""
        ...


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
