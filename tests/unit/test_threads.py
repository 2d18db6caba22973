"""Calls in threads outlast the cancellation of those who wait for them."""

import asyncio
import threading

import pytest

from twotime.threads import to_the_end


@pytest.mark.parametrize("times", [1, 2, 3])
def test_call_has_ended_when_its_cancelled_waiter_ends(times: int) -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        released.wait(30)
        ended.set()

    async def scenario() -> None:
        waiter = asyncio.create_task(to_the_end(work))
        await asyncio.to_thread(begun.wait, 30)
        for _ in range(times):
            waiter.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
        assert not waiter.done()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert ended.is_set()

    asyncio.run(scenario())


def test_result_and_error_of_the_call_are_those_of_the_wait() -> None:
    def fail() -> None:
        raise ValueError("no")

    assert asyncio.run(to_the_end(int, "3")) == 3
    with pytest.raises(ValueError, match="no"):
        asyncio.run(to_the_end(fail))
