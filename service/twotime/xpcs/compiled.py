"""Compiling inner loops with numba, in a place of its own so that a read-only installation works too."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

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
