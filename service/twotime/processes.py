"""Child processes that end with their parent, ignore Ctrl-C, and use a given number of threads."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
"""Starts processes as copies of one that has imported what they need and nothing else: ten times as fast.

The layer that starts processes names the modules, see `twotime.jobs`.
"""
_beginning = threading.Lock()
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def begin(name: str, target: Callable[..., None], *args: Any, n_threads: int) -> BaseProcess:
    """Start a process that ignores Ctrl-C; blocks, the first time as long as the imports take.

    Libraries read their number of threads when they are imported, so the first call decides for all processes.
    """
    process = PROCESSES.Process(target=target, args=args, name=name, daemon=True)
    with _beginning, _threads(n_threads), deaf_to_interrupts():
        process.start()
    return process


def die_with_parent() -> None:
    """Let this process end as soon as the process that started it has ended."""
    threading.Thread(target=_wait_for_parent, name="die with parent", daemon=True).start()


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which reaches the whole process group; the service stops them in order."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set the number of threads of numerical libraries for processes started inside this block."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(number)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
