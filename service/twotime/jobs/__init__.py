"""Scheduling: which runs are analysed, when, in which process, and what happens when something dies.

The layers above need `Service`, and for callers who show a key of Tiled `Callers` and `SeenService`.
"""

from twotime.jobs.callers import Callers
from twotime.jobs.seen import SeenService
from twotime.jobs.service import Service

__all__ = ["Callers", "SeenService", "Service"]
