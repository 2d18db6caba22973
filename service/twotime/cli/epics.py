"""``twotime epics``: the newest result as EPICS process variables."""

import asyncio

from rich.console import Console

from twotime.client import Client
from twotime.epics import serve


def epics(url: str, prefix: str, every_s: float, console: Console) -> None:
    """Serve until Ctrl-C; see `twotime.epics.serve`."""

    def told(status: str) -> None:
        console.print(f"{prefix}STATUS {status}", markup=False, highlight=False, soft_wrap=True)

    with Client(url) as client:
        asyncio.run(serve(client, prefix, every_s, told))
