"""Leases on attempts: which analyses in Tiled nobody computes, because nobody claimed them or their process died."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from twotime.catalog.results.analysis_record import AnalysisRecord, Claim
from twotime.jobs.scheduling.owner import is_dead

LEASE_S = 30.0
"""An attempt without a heartbeat for this long counts as dead. That is six missing heartbeats."""


@dataclass(frozen=True)
class _Heartbeat:
    attempt: int
    updated_time: float
    first_seen: float


class LeaseMonitor:
    """Decides when the claim of another process has expired.

    Parameters
    ----------
    owner : name of this process
    clock : monotonic seconds

    Notes
    -----
    A process of this machine is looked up by its pid and start time, so its death shows at once. Of a process elsewhere
    only the heartbeat in Tiled is known. Its time stamp is compared for equality only and the lease is timed by the
    clock of this process: clocks of two machines may differ by more than a lease.
    """

    def __init__(self, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.owner = owner
        self.clock = clock
        self._heartbeats: dict[str, _Heartbeat] = {}

    def is_claimable(self, record: AnalysisRecord, claim: Claim) -> bool:
        """Whether this process may claim the next attempt of an unfinished analysis that it does not compute.

        Parameters
        ----------
        record : the analysis as Tiled shows it now
        claim : its newest claim
        """
        # Queued again after the newest claim: a forced request, or a service that stopped and released its claim.
        if claim.attempt < record.attempt and record.status == "queued":
            return True
        # Our own claim without a worker that computes it: the worker died.
        if claim.owner is None or claim.owner == self.owner or is_dead(claim.owner):
            return True
        now = self.clock()
        last = self._heartbeats.get(record.id)
        if last is None or (last.attempt, last.updated_time) != (claim.attempt, record.updated_time):
            self._heartbeats[record.id] = _Heartbeat(claim.attempt, record.updated_time, now)
            return False
        return now - last.first_seen > LEASE_S

    def restart(self) -> None:
        """Start all leases anew. Call it after an outage of Tiled, during which no process could send a heartbeat."""
        self._heartbeats.clear()
