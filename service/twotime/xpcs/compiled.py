"""Inner loops: compiled by numba, and shared out between threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numba

_THREADS = min(4, os.cpu_count() or 1)

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function, **options: Any) -> Function:
    """Compile a function; other threads run meanwhile, and the machine code is kept for the next process.

    Parameters
    ----------
    function : loops over arrays and numbers
    options : of `numba.njit`
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        kept: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # No folder can be written: each process compiles for itself.
        kept = numba.njit(**options)(function)
    return kept


def in_parts(length: int, work: Callable[[int, int], Any]) -> list[Any]:
    """Do `work` on equal parts of a range in threads; `work` takes first and end, and must let other threads run."""
    edges = [length * k // _THREADS for k in range(_THREADS + 1)]
    return list(_pool().map(work, edges[:-1], edges[1:]))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "parts")
