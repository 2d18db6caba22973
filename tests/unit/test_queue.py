"""What is computed before what."""

import asyncio

from twotime.jobs.scheduling.job_queue import Job, JobQueue, Rank


def taken(queue: JobQueue, number: int) -> list[str]:
    async def take() -> list[str]:
        return [(await queue.get()).id for _ in range(number)]

    return asyncio.run(take())


def test_new_scans_go_before_those_that_are_caught_up_with() -> None:
    queue = JobQueue()
    for name, rank in (("old 1", Rank.BACKLOG), ("old 2", Rank.BACKLOG), ("new", Rank.NEW), ("asked", Rank.ASKED)):
        queue.put(Job(name, 0), rank)

    assert queue.order == ["asked", "new", "old 1", "old 2"]
    assert taken(queue, 4) == ["asked", "new", "old 1", "old 2"]


def test_second_request_moves_a_job_forward_only() -> None:
    queue = JobQueue()
    queue.put(Job("one", 0), Rank.NEW)
    queue.put(Job("two", 0), Rank.NEW)
    queue.put(Job("two", 0), Rank.BACKLOG)
    queue.put(Job("one", 0), Rank.BACKLOG)

    assert taken(queue, 2) == ["one", "two"]
    assert len(queue) == 0


def test_job_moved_to_the_front_last_is_the_next_one() -> None:
    queue = JobQueue()
    for name in "abc":
        queue.put(Job(name, 0))

    assert queue.advance("b")
    assert queue.advance("c")
    assert not queue.advance("nothing")

    assert taken(queue, 3) == ["c", "b", "a"]


def test_paused_queue_waits_until_it_goes_on() -> None:
    async def scenario() -> tuple[bool, str]:
        queue = JobQueue()
        queue.put(Job("one", 0))
        queue.pause(True)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0.05)
        waited = not waiting.done()
        queue.pause(False)
        return waited, (await waiting).id

    assert asyncio.run(scenario()) == (True, "one")


def test_job_that_waits_is_queued_once_with_what_was_seen_last() -> None:
    queue = JobQueue()
    queue.put(Job("a", 0))
    queue.put(Job("a", 1), Rank.NEW)
    assert len(queue) == 1
    assert asyncio.run(queue.get()) == Job("a", 1)
    assert "a" not in queue


def test_forgotten_job_is_never_handed_out() -> None:
    queue = JobQueue()
    queue.put(Job("a", 0))
    queue.put(Job("b", 0))
    queue.discard("a")
    assert asyncio.run(queue.get()).id == "b"


def test_job_put_later_wakes_whoever_waits() -> None:
    async def wait_and_put() -> Job:
        queue = JobQueue()
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put(Job("a", 0))
        return await waiting

    assert asyncio.run(wait_and_put()).id == "a"
