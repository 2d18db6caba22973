"""Everything that can go wrong above the numerical core, as one tree.

    TwotimeError
    ├── InputError                what was asked for cannot be done as asked
    │   ├── NotFound
    │   │   ├── RunNotFound
    │   │   └── AnalysisNotFound
    │   ├── AmbiguousRun          the reference fits more than one run
    │   ├── RunStillRunning       no stop document yet
    │   ├── UnusableRun           no detector, no frames, failed, all zero
    │   │   └── DamagedFrames     some frames are not there or cannot be read
    │   ├── RecipeError           the recipe contradicts itself or the run
    │   ├── NotReady              the analysis exists and has no result (yet)
    │   └── NotForCallers         not for those who show a key of Tiled
    ├── QueueFull                 too many analyses wait
    ├── ExportTooSlow             a file of an analysis was not written in time
    ├── TiledUnavailable          not reachable, or gone in between
    │   ├── TiledFailing          answers that it failed
    │   └── StreamOff             answers, but has no stream of events
    ├── TiledRefused              key refused or scope missing
    ├── WeightsDamaged            the ensemble's files are missing or altered
    └── Cancelled                 somebody asked to stop

The message of each is one sentence that names the field, its value and the remedy. ``xpcs`` and ``cnn_ed``
raise ``ValueError`` only.
"""


class TwotimeError(Exception):
    """Root of all errors that this service raises on purpose."""


class InputError(TwotimeError):
    """What was asked for cannot be done as asked."""


class NotFound(InputError):
    """No such thing."""


class RunNotFound(NotFound):
    """No run fits the reference."""


class AnalysisNotFound(NotFound):
    """No analysis has this id."""


class AmbiguousRun(InputError):
    """More than one run fits the reference."""


class RunStillRunning(InputError):
    """The run has no stop document yet."""


class UnusableRun(InputError):
    """The run holds nothing that can be correlated."""


class DamagedFrames(UnusableRun):
    """Frames from `first` up to and without `stop`, numbered as in the run, are not there or cannot be read."""

    def __init__(self, message: str, first: int = 0, stop: int = 0) -> None:
        super().__init__(message)
        self.first = first
        self.stop = stop


class RecipeError(InputError):
    """The recipe contradicts itself or the run."""


class NotReady(InputError):
    """The analysis exists but has no result to show."""


class NotForCallers(InputError):
    """It is about all runs, and so not for callers to whom Tiled shows some."""


class QueueFull(TwotimeError):
    """As many analyses wait as the site allows."""


class ExportTooSlow(TwotimeError):
    """A file of an analysis was not written in time."""


class TiledUnavailable(TwotimeError):
    """The Tiled server does not answer."""


class TiledFailing(TiledUnavailable):
    """Tiled answers that it failed; it may go on doing so."""


class StreamOff(TiledUnavailable):
    """Tiled answers, but no stream of its events can be had."""


class TiledRefused(TwotimeError):
    """The Tiled server refuses the key, or the key lacks a scope."""


class WeightsDamaged(TwotimeError):
    """The weights of the ensemble are missing or not the ones that were published."""


class Cancelled(TwotimeError):
    """Somebody asked for this analysis to stop."""
