"""Events of the service, published to any number of subscribers."""

import asyncio
import time
import weakref
from typing import Any, Self

MOST_WAITING = 256


class Subscription:
    """Events from its creation on, without end. A subscriber that is too slow loses the oldest events."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_WAITING)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await self._waiting.get()

    def put(self, message: dict[str, Any]) -> None:
        """Add an event."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(message)


class EventHub:
    """Publishes events to all living subscriptions; a subscription ends when nobody refers to it any more."""

    def __init__(self) -> None:
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def publish(self, event: str, **fields: Any) -> None:
        """Publish an event; call it in the event loop."""
        message = {"event": event, "time": time.time(), **fields}
        for subscription in list(self._subscriptions):
            subscription.put(message)

    def subscribe(self) -> Subscription:
        """A new subscription."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription
