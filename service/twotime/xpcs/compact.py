"""Two-time correlation functions without the digits that hold only noise, and without the half that repeats.

Digits below the noise of a measurement cannot be compressed. Multiples of a power of two end in zero bits, which every
lossless compressor removes, and they stay ordinary floating point numbers. A two-time correlation function is
symmetric, so the values below its diagonal say nothing new.
"""

import numpy as np
from numpy.typing import NDArray

LARGEST_ERROR = 0.01
"""Standard deviation of the rounding error, in units of the standard error of the value."""
SPREAD_DIGITS = 3
"""Binary digits that a standard error keeps after its first one: it is right within 6.25 %."""
_UNIFORM = 12**0.5
"""Width of a uniform distribution in units of its standard deviation."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution in units of the median of its absolute value."""
_AGES = 64
"""Pairs of neighbouring ages from which the noise at one lag and age is taken."""
_LOW = 10
"""Percentile of the noise over lags and ages: where the beam was brighter than on average, there is less."""


def noise_of(c2: NDArray[np.generic]) -> float:
    """Standard deviation of the noise of a two-time correlation function, where there is least.

    Parameters
    ----------
    c2 : (N, N) array; NaN are left out

    Returns
    -------
    float
        In the unit of `c2`; NaN where fewer than two frames follow each other.

    Notes
    -----
    Neighbours on a diagonal hold pairs of other frames, so their difference has twice the variance of the noise. What
    the sample changes between two frames adds little. The lags are powers of two.

    Examples
    --------
    >>> noisy = 1 + 0.1 * np.random.default_rng(1).normal(size=(400, 400))
    >>> bool(0.07 < noise_of(noisy) < 0.1)
    True
    """
    found: list[float] = []
    for lag in 2 ** np.arange(max(len(c2) - 2, 1).bit_length()):
        change = np.abs(np.diff(np.diagonal(c2, int(lag)).astype(np.float64)))
        change = change[np.isfinite(change)]
        parts = np.array_split(change, max(1, len(change) // _AGES))
        found.extend(float(np.median(part)) for part in parts if len(part))
    return _NORMAL / 2**0.5 * float(np.percentile(found, _LOW)) if found else np.nan


def step_within(error: NDArray[np.float32] | float, share: float = LARGEST_ERROR) -> NDArray[np.float32]:
    """The largest power of two whose rounding error stays within a share of the standard error.

    Parameters
    ----------
    error : standard error of the values to be rounded
    share : of it, that the standard deviation of the rounding error may reach

    Returns
    -------
    float32 array, the unit of `error`
        0, which rounds nothing, where the error is 0, infinite or NaN.

    Notes
    -----
    The rounding error of a step s is uniform between -s/2 and s/2, with a standard deviation of s / sqrt(12).

    Examples
    --------
    >>> float(step_within(0.1)), float(step_within(np.nan))
    (0.001953125, 0.0)
    """
    return _power_of_two(np.asarray(error, np.float32) * np.float32(share * _UNIFORM))


def rounded(values: NDArray[np.float32], step: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest multiples of a step; NaN stays NaN, and a step of 0 changes nothing.

    Parameters
    ----------
    values : float32 array
    step : float32 array that broadcasts to the shape of `values`, powers of two or 0

    Examples
    --------
    >>> rounded(np.array([1.23, np.nan], np.float32), np.float32(0.25)).tolist()
    [1.25, nan]
    """
    safe = np.where(step > 0, step, np.float32(1))
    return np.where(step > 0, np.rint(values / safe) * safe, values)


def rounded_error(error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard errors with the binary digits that they can tell: `SPREAD_DIGITS` after the first.

    Examples
    --------
    >>> rounded_error(np.array([0.0031, 0.0], np.float32)).tolist()
    [0.003173828125, 0.0]
    """
    return rounded(error, _power_of_two(error) * np.float32(2.0**-SPREAD_DIGITS))


def upper(values: NDArray[np.float32], first_row: int = 0, first_column: int = 0) -> NDArray[np.float32]:
    """A part of a two-time correlation function with NaN below the diagonal.

    Parameters
    ----------
    values : (..., n, m) array, rows and columns of the function
    first_row, first_column : where the part lies in the function
    """
    row = first_row + np.arange(values.shape[-2])
    column = first_column + np.arange(values.shape[-1])
    return np.where(row[:, None] <= column, values, np.float32(np.nan))


def mirrored(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole two-time correlation function of one that holds NaN below the diagonal.

    Parameters
    ----------
    values : (..., N, N) array

    Examples
    --------
    >>> mirrored(np.array([[1, 2], [np.nan, 3]], np.float32)).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    whole: NDArray[np.float32] = np.fmax(values, values.swapaxes(-2, -1))
    return whole


def _power_of_two(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest power of two up to each value; 0 where there is none."""
    known = np.isfinite(values) & (values > 0)
    _, exponent = np.frexp(np.where(known, values, np.float32(1)))
    return np.where(known, np.ldexp(np.float32(1), exponent - 1), np.float32(0))
