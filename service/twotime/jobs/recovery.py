"""Which analyses in Tiled nobody computes: those that wait unclaimed, and those whose process died."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from twotime.catalog.analyses import AnalysisRecord, Holder
from twotime.jobs.owner import is_dead

LEASE_S = 30.0
"""An attempt without a sign of life for this long counts as dead; six times the interval of the signs."""


@dataclass(frozen=True)
class _Seen:
    attempt: int
    updated_time: float
    since: float


class Vigil:
    """Watches the claims of other processes, to take over those that died.

    A process on this machine is looked up; of any other only the signs of life in Tiled are known, and these are timed
    by the clock of this process, for clocks of two machines may differ.

    Parameters
    ----------
    owner : name of this process
    clock : seconds, rising
    """

    def __init__(self, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.owner = owner
        self.clock = clock
        self._seen: dict[str, _Seen] = {}

    def is_free(self, record: AnalysisRecord, holder: Holder) -> bool:
        """Whether an analysis that has not ended, and that this process is not busy with, may be claimed."""
        if holder.attempt < record.attempt and record.status == "queued":
            return True
        if holder.owner is None or holder.owner == self.owner or is_dead(holder.owner):
            return True
        now = self.clock()
        seen = self._seen.get(record.id)
        if seen is None or (seen.attempt, seen.updated_time) != (holder.attempt, record.updated_time):
            self._seen[record.id] = _Seen(holder.attempt, record.updated_time, now)
            return False
        return now - seen.since > LEASE_S

    def forget(self) -> None:
        """Begin all timings anew: while Tiled was away nobody could give a sign of life."""
        self._seen.clear()
