"""Bluesky documents over 0MQ, as bluesky's `Publisher` sends them to its proxy, in MessagePack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import structlog
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from twotime.errors import InputError
from twotime.live.run_documents import RunsInMemory

log = structlog.get_logger()

MOST_BYTES = 16 * 2**20
_HEARTBEAT_MS = 5000
_GREETED = zmq.Event.HANDSHAKE_SUCCEEDED
_LOST = zmq.Event.DISCONNECTED
_REFUSED = zmq.Event.HANDSHAKE_FAILED_NO_DETAIL | zmq.Event.HANDSHAKE_FAILED_PROTOCOL | zmq.Event.HANDSHAKE_FAILED_AUTH


class DocumentListener:
    """Subscribes to a 0MQ proxy and reconnects whenever the proxy goes away.

    Parameters
    ----------
    address : host:port where the proxy publishes
    runs : takes the documents

    Attributes
    ----------
    connected : whether the proxy answers
    state : one sentence about the connection

    Notes
    -----
    bluesky's `RemoteDispatcher` (1.15) does not fit: a message with an unknown name stops it, it prints unreadable
    messages to standard output, its thread cannot be stopped from outside, and it does not know whether the proxy
    answers. Messages carry no authentication, so nothing that could run code is decoded: pickles, the default of
    `Publisher`, are refused.
    """

    def __init__(self, address: str, runs: RunsInMemory) -> None:
        self.address = address
        self.runs = runs
        self.connected = False
        self.state = f"Not connected to the 0MQ proxy at {address} yet; is bluesky-0MQ-proxy running there?"

    async def run(self) -> None:
        """Listen until cancelled."""
        async with _subscribed(self.address) as (socket, monitor), asyncio.TaskGroup() as both:
            both.create_task(self._receive(socket))
            both.create_task(self._watch(monitor))

    async def _receive(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            message = await socket.recv()
            try:
                self.runs.take(*_read(message))
            except InputError as error:
                self.runs.refuse(str(error))

    async def _watch(self, monitor: zmq.asyncio.Socket) -> None:
        """Follow the state of the connection."""
        while True:
            event = (await recv_monitor_message(monitor))["event"]
            if event == _GREETED:
                self._set_state(True, f"listening to the 0MQ proxy at {self.address}")
            elif event == _LOST and self.connected:
                self._set_state(False, f"The 0MQ proxy at {self.address} went away; it is looked for.")
            elif event & _REFUSED:
                self._set_state(
                    False, f"What answers at {self.address} is no 0MQ proxy; set TWOTIME_DOCUMENTS_ADDRESS."
                )

    def _set_state(self, connected: bool, state: str) -> None:
        if state != self.state:
            (log.info if connected else log.warning)("documents", state=state)
        self.connected, self.state = connected, state


async def find_proxy(address: str, patience_s: float = 3.0) -> None:
    """Connect to a 0MQ proxy once; raises `InputError` if there is none."""
    async with _subscribed(address) as (_, monitor):
        try:
            async with asyncio.timeout(patience_s):
                event = (await recv_monitor_message(monitor))["event"]
        except TimeoutError:
            event = None
    if event != _GREETED:
        raise InputError(
            f"No 0MQ proxy answers at {address}; start bluesky-0MQ-proxy there, or correct TWOTIME_DOCUMENTS_ADDRESS."
        )


@asynccontextmanager
async def _subscribed(address: str) -> AsyncIterator[tuple[zmq.asyncio.Socket, zmq.asyncio.Socket]]:
    """A socket subscribed to everything, and one that reports events of its connection."""
    context = zmq.asyncio.Context()
    try:
        socket = context.socket(zmq.SUB)
        socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        monitor = socket.get_monitor_socket(_GREETED | _LOST | _REFUSED)
        socket.subscribe(b"")
        socket.connect(f"tcp://{address}")
        yield socket, monitor
    finally:
        context.destroy(linger=0)


def _read(message: bytes) -> tuple[str, Any]:
    """Name and document of a message: prefix, name and document, with a blank between them."""
    if len(message) > MOST_BYTES:
        raise InputError(f"A message has {len(message)} bytes; a document has {MOST_BYTES} at most.")
    _, *rest = message.split(b" ", 2)
    if len(rest) != 2:
        raise InputError("A message is no document: it does not consist of prefix, name and document.")
    name, document = rest
    if document[:1] == b"\x80" and document[-1:] == b".":
        raise InputError(
            "A document came as a pickle, which is never read; give bluesky's Publisher the serializer that "
            "deploy/README.md shows."
        )
    try:
        return name.decode(), msgpack.unpackb(document)
    except (ValueError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"A document is no MessagePack ({reason}); deploy/README.md shows what to send.") from None
