"""How instruments and proposals share the workers."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotime.jobs.requests.submission import share_of
from twotime.jobs.scheduling.fair_shares import Share
from twotime.jobs.scheduling.job_queue import Job, JobQueue, Rank

A, B, C = ("CHX", "pass-1"), ("CHX", "pass-2"), ("SMI", "pass-3")


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Site:
    """One worker that takes analyses from a queue; each takes as long as the test says."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queue = JobQueue(self.clock)
        self.number: Iterator[int] = itertools.count()

    def put(self, share: Share, number: int = 1, rank: Rank = Rank.ASKED) -> None:
        for _ in range(number):
            self.queue.put(Job(f"{share[-1]}/{next(self.number)}", 0, share=share), rank)

    def compute(self, number: int, *, takes_s: dict[Share, float] | None = None) -> list[Share]:
        """Shares of the next analyses, in the order in which they are computed."""
        done = []
        for _ in range(number):
            job = asyncio.run(self.queue.get())
            self.clock.now += (takes_s or {}).get(job.share, 1.0)
            self.queue.end(job, computed=True)
            done.append(job.share)
        return done


def test_one_request_does_not_wait_for_500_of_another_proposal() -> None:
    site = Site()
    site.put(A, 500)
    assert site.compute(100) == [A] * 100
    site.put(B)

    assert B in site.compute(2)


def test_instruments_share_evenly_however_many_proposals_each_has() -> None:
    site = Site()
    site.put(A, 40)
    site.put(B, 40)
    site.put(C, 40)

    assert Counter(site.compute(40)) == {C: 20, A: 10, B: 10}


def test_time_is_shared_not_the_number_of_analyses() -> None:
    site = Site()
    site.put(A, 100)
    site.put(C, 100)

    done = Counter(site.compute(80, takes_s={A: 9.0, C: 1.0}))

    assert done[C] / done[A] == pytest.approx(9.0, rel=0.2)


def test_share_that_had_no_work_gets_no_credit_for_it() -> None:
    site = Site()
    site.put(A, 50)
    site.put(C, 1)
    site.compute(51)
    site.put(A, 50)
    site.put(C, 50)

    assert site.compute(20).count(A) == pytest.approx(10, abs=1)


def test_share_does_not_pay_for_what_it_used_while_alone() -> None:
    site = Site()
    site.put(A, 50)
    site.compute(50)
    site.put(C, 20)
    site.put(A, 20)

    assert site.compute(20).count(A) == pytest.approx(10, abs=1)


def test_what_can_wait_goes_after_what_somebody_waits_for() -> None:
    site = Site()
    site.put(A, 3, Rank.BACKLOG)
    site.put(A, 3, Rank.MANY)
    site.put(C, 3, Rank.NEW)

    assert site.compute(3) == [C, C, C]


def test_analysis_moved_to_the_front_goes_before_every_share() -> None:
    site = Site()
    site.put(A, 2)
    site.put(C, 2, Rank.BACKLOG)
    site.queue.advance("pass-3/3")

    assert site.queue.order[0] == "pass-3/3"


def test_lost_claim_costs_its_share_nothing() -> None:
    site = Site()
    site.put(A, 3)
    site.put(C, 1)
    job = asyncio.run(site.queue.get())
    assert job.share == A
    site.queue.end(job, computed=False)

    assert site.compute(2) == [A, C]


def test_second_request_moves_a_waiting_analysis_forward() -> None:
    site = Site()
    site.put(A, 2, Rank.BACKLOG)
    site.queue.promote("pass-1/1", Rank.ASKED)
    site.queue.promote("pass-1/1", Rank.BACKLOG)

    assert site.queue.order == ["pass-1/1", "pass-1/0"]


def test_expected_starts_follow_from_what_analyses_took() -> None:
    site = Site()
    site.put(A, 6)
    assert site.queue.expected_starts_s(2) == [None] * 6
    site.compute(1, takes_s={A: 10.0})
    asyncio.run(site.queue.get())
    site.clock.now += 4.0

    # One worker is free, the other one needs 6 s more.
    assert site.queue.expected_starts_s(2) == pytest.approx([0.0, 6.0, 10.0, 16.0])
    assert site.queue.expected_starts_s(0) == [None] * 4
    site.queue.pause(True)
    assert site.queue.expected_starts_s(2) == [None] * 4


def test_limit_counts_requests_of_one_share() -> None:
    site = Site()
    site.put(A, 3)
    site.put(A, 2, Rank.MANY)
    site.put(A, 2, Rank.NEW)
    site.put(C)

    assert (site.queue.n_asked(A), site.queue.n_asked(C), site.queue.n_asked(B)) == (5, 1, 0)


@pytest.mark.parametrize(
    ("fields", "share"),
    [
        ([], ()),
        (["beamline_id", "data_session"], ("CHX", "")),
        (["beamline_id", "proposal.proposal_id"], ("CHX", "312345")),
        (["beamline_id.name"], ("",)),
    ],
)
def test_share_is_read_from_the_start_document(fields: list[str], share: Share) -> None:
    assert share_of({"beamline_id": "CHX", "proposal": {"proposal_id": 312345}}, fields) == share


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C, ("",)]), st.sampled_from(list(Rank)[1:]), st.floats(0.1, 9)), max_size=40
    )
)
def test_order_that_is_shown_is_the_order_of_work(jobs: list[tuple[Share, Rank, float]]) -> None:
    site = Site()
    for share, rank, _ in jobs:
        site.put(share, 1, rank)
    shown = site.queue.order

    # All start at once: nothing ends in between that could change what is expected.
    async def take() -> list[str]:
        return [(await site.queue.get()).id for _ in jobs]

    assert asyncio.run(take()) == shown
    assert site.queue.order == []
