"""A small simulation of a cluster: workers take analyses from a queue and share Tiled, the network and the service.

Every analysis goes through the same steps; each keeps one server of one resource busy for its time, and waits for a
free one before. A worker holds its analysis from the first step to the last, as the service has it.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """A part of an analysis.

    Attributes
    ----------
    resource : name of what it uses; "worker" is the worker's own core
    seconds : for which it keeps a server of the resource busy
    """

    resource: str
    seconds: float


@dataclass(frozen=True)
class Throughput:
    """What a cluster reaches.

    Attributes
    ----------
    per_minute : analyses
    busy : share of the time that each resource was busy, 0 to 1
    """

    per_minute: float
    busy: dict[str, float]


def simulate(
    steps: Sequence[Step],
    n_workers: int,
    servers: Mapping[str, int],
    *,
    n_analyses: int = 1000,
    variation: float = 0.2,
    seed: int = 1,
) -> Throughput:
    """Let workers compute analyses without a pause.

    Parameters
    ----------
    steps : of each analysis, in order
    n_workers : with one core each
    servers : number of servers of each shared resource
    n_analyses : to compute
    variation : standard deviation of the time of a step, relative to it
    seed : of the random times

    Returns
    -------
    Throughput
        From the first start to the last end.

    Examples
    --------
    >>> alone = simulate([Step("worker", 1.0)], 4, {}, variation=0.0)
    >>> round(alone.per_minute)
    240
    >>> shared = simulate([Step("worker", 1.0), Step("tiled", 0.5)], 4, {"tiled": 1}, variation=0.0)
    >>> round(shared.per_minute), round(shared.busy["tiled"], 2)
    (120, 1.0)
    """
    rng = np.random.default_rng(seed)
    free = {name: [0.0] * number for name, number in servers.items()}
    used: Counter[str] = Counter()
    order = itertools.count()
    # An event is a worker that is ready for a step: (time, tie-breaker, number of the step).
    events = [(0.0, next(order), 0) for _ in range(min(n_workers, n_analyses))]
    started, end = len(events), 0.0
    while events:
        now, _, number = heapq.heappop(events)
        step = steps[number]
        seconds = step.seconds * max(0.05, 1.0 + variation * rng.standard_normal())
        begin = now
        if step.resource in free:
            begin = max(now, heapq.heappop(free[step.resource]))
            heapq.heappush(free[step.resource], begin + seconds)
        used[step.resource] += seconds
        end = max(end, begin + seconds)
        if number + 1 < len(steps):
            heapq.heappush(events, (begin + seconds, next(order), number + 1))
        elif started < n_analyses:
            started += 1
            heapq.heappush(events, (begin + seconds, next(order), 0))
    numbers = {**servers, "worker": n_workers}
    return Throughput(60 * n_analyses / end, {name: used[name] / (numbers[name] * end) for name in used})
