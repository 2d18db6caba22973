"""Load on the machine that has nothing to do with the service."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BURN = "x = 1\nwhile True: x = x * 1664525 + 1013904223 & 0xFFFFFFFF"


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many other processes computing; 0: none."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.wait()
