"""Answers that are shared for a while."""

import asyncio

from twotime.jobs.request_cache import RequestCache


def test_no_more_answers_are_kept_than_allowed_and_the_newest_stay() -> None:
    asked = []

    async def ask_for_many() -> None:
        shared = RequestCache(300.0, max_entries=10)

        async def get(number: int) -> None:
            async def ask() -> int:
                asked.append(number)
                return number

            assert await shared.get(number, ask) == number
            assert len(shared._known) <= 10

        for number in range(100):
            await get(number)
        await get(99)
        await get(0)

    asyncio.run(ask_for_many())

    assert asked == [*range(100), 0]
