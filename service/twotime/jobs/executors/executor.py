"""The interface of everything that computes analyses: a process of this machine, or a slot of a Dask cluster."""

from collections.abc import Callable
from typing import Protocol

from twotime.catalog.results.analysis_record import AnalysisRecord

EXECUTOR_LOST = "executor lost"
"""Outcome of an attempt whose executor disappeared. It does not count against the analysis."""

OnProgress = Callable[[str, float], None]
"""Called with the stage and the fraction done, 0 to 1."""


class Executor(Protocol):
    """Computes one analysis at a time."""

    @property
    def alive(self) -> bool:
        """Whether it can compute now."""
        ...

    @property
    def pid(self) -> int | None:
        """Process id, if it is a living process of this machine."""
        ...

    def start(self) -> None:
        """Get ready for the next analysis; blocks until it is ready."""
        ...

    def compute(self, record: AnalysisRecord, on_progress: OnProgress) -> str | None:
        """Compute a claimed attempt; blocks until it has ended.

        Parameters
        ----------
        record : the claimed attempt
        on_progress : called at every step

        Returns
        -------
        str or None
            The `Outcome`; `EXECUTOR_LOST` if the executor disappeared; None if its process died while computing.
        """
        ...

    def cancel(self, analysis_id: str) -> bool:
        """Ask the executor to stop this analysis; False if it computes another one."""
        ...

    def kill(self) -> None:
        """End at once."""
        ...
