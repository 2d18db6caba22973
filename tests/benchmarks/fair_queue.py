"""How long a request waits behind a flood: ``python -m tests.benchmarks.fair_queue``.

The queue of the service with a clock of its own: 500 analyses of one proposal wait, then another proposal asks for one
every few minutes. Printed is how long those wait, with shares and, as the peer, first come, first served.
"""

import argparse
import asyncio
import heapq
import statistics

from twotime.jobs.scheduling.job_queue import Job, JobQueue

FLOOD, OTHER = ("CHX", "pass-1"), ("CHX", "pass-2")


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def waits(n_workers: int, takes_s: float, every_s: float, *, shared: bool, n_flood: int = 500) -> list[float]:
    """Seconds that each request of the other proposal waits until a worker takes it.

    Parameters
    ----------
    n_workers : of the service
    takes_s : each analysis
    every_s : between two requests of the other proposal
    shared : whether proposals have shares of their own
    n_flood : analyses of the first proposal, which wait from the beginning
    """
    clock, waited, asked = _Clock(), [], {}
    queue = JobQueue(clock)
    for number in range(n_flood):
        queue.put(Job(f"flood {number}", 0, share=FLOOD if shared else ("",)))
    # Events: a request of the other proposal (None), or a job that has ended on a worker.
    events: list[tuple[float, int, Job | None]] = [(every_s * (k + 0.5), k, None) for k in range(8)]
    heapq.heapify(events)
    free, count = n_workers, len(events)
    while events or len(queue):
        while free and len(queue):
            job = await queue.get()
            if job.id in asked:
                waited.append(clock.now - asked[job.id])
            free, count = free - 1, count + 1
            heapq.heappush(events, (clock.now + takes_s, count, job))
        clock.now, number, ended = heapq.heappop(events)
        if ended is None:
            asked[f"other {number}"] = clock.now
            queue.put(Job(f"other {number}", 0, share=OTHER if shared else ("",)))
        else:
            queue.end(ended, computed=True)
            free += 1
    return waited


def report(takes_s: float, every_s: float) -> None:
    """Print the waits with 1 to 20 workers."""
    print(f"500 analyses of {takes_s:g} s wait; another proposal asks every {every_s:g} s; s until it is taken")
    print(f"{'workers':>8}{'shares, median':>16}{'largest':>9}{'in order, median':>18}{'largest':>9}")
    for n_workers in (1, 2, 4, 20):
        with_shares, in_order = (
            asyncio.run(waits(n_workers, takes_s, every_s, shared=shared)) for shared in (True, False)
        )
        print(
            f"{n_workers:8d}{statistics.median(with_shares):16.0f}{max(with_shares):9.0f}"
            f"{statistics.median(in_order):18.0f}{max(in_order):9.0f}"
        )


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=float, default=20.0, help="seconds of an analysis")
    parser.add_argument("--every", type=float, default=300.0, help="seconds between two requests of the other proposal")
    given = parser.parse_args()
    report(given.takes, given.every)


if __name__ == "__main__":
    main()
