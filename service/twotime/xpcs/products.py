"""Products of counts between frames, by the fastest route that stays exact.

Counts are small integers. Where the processor multiplies 8-bit integers in hardware, their products and sums are exact
and several times faster than in float32; else, and for counts divided by a static image, float32 products of deviations
from the frame means keep the result within 1e-6 of float64.
"""

from copy import copy
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts

Route = Literal["int8", "int8 in two digits", "float32", "sparse"]
BLOCK_BYTES = 256 * 2**20
SPARSE_BELOW = 0.01
"""Share of pixels with a count below which events are faster than dense products, also those of 8-bit integers."""
_DIGIT = 128
_LARGEST_SUM = 2**31 - 1


@cache
def int8_is_exact() -> bool:
    """Whether this machine multiplies 8-bit integers fast and exactly; without VNNI instructions the sums saturate."""
    if not torch.cpu._is_vnni_supported():
        return False
    largest = torch.full((17, 4099), _DIGIT - 1, dtype=torch.int8)
    counts = torch.arange(17 * 4099, dtype=torch.int32).remainder(_DIGIT).to(torch.int8).reshape(17, 4099)
    return all(torch.equal(torch._int_mm(own, own.T).long(), own.long() @ own.long().T) for own in (largest, counts))


def route_of(largest: float, *, integer: bool, flat: bool = False) -> Route:
    """The route for dense counts up to `largest`.

    Parameters
    ----------
    integer : whether they are integers
    flat : whether each pixel is divided by a static image first

    Notes
    -----
    Two digits to the base of 128 take four products, which only pays with matrix units (AMX).
    """
    if integer and not flat and largest >= 0 and int8_is_exact():
        if largest < _DIGIT:
            return "int8"
        if largest < _DIGIT**2 and torch.cpu._is_amx_tile_supported():
            return "int8 in two digits"
    return "float32"


def row_sums(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of each row (N,) of an array (N, P); exact for counts, by all cores."""
    if values.dtype.kind not in "ui":
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    sums = np.empty(len(values))
    in_parts(len(values), partial(_row_sums, values, sums))
    return sums


class Frames:
    """Frames of one ROI, ready to be multiplied with others.

    Parameters
    ----------
    pixels : (n, P) counts, dense or sparse
    route : the same for all frames that are multiplied with each other
    scale : (n,) what each frame is divided by: the mean over its pixels, or the incident flux times a constant; 0 where
        a frame is left out
    flat : (P,) static image by which pixels are divided; None: nothing
    """

    def __init__(
        self,
        pixels: NDArray[Any] | sp.csr_array,
        route: Route,
        scale: NDArray[np.float64],
        flat: NDArray[np.floating] | None = None,
    ) -> None:
        self.route = route
        self.n_pixels = int(pixels.shape[1])
        self._inverse = np.divide(1.0, scale, out=np.zeros(len(scale)), where=scale > 0)
        self._pixels = pixels
        self._flat = flat
        self._digits: list[torch.Tensor] = []
        if route.startswith("int8"):
            assert isinstance(pixels, np.ndarray)
            self._largest = int(pixels.max(initial=0))
            self._digits = _digits(pixels, two=route != "int8")
        elif route == "sparse":
            self._pixels = sp.csr_array(pixels, dtype=np.float64)

    def rows(self, own: slice) -> "Frames":
        """Some of the frames, sharing memory with these."""
        part = copy(self)
        part._pixels, part._inverse = self._pixels[own], self._inverse[own]
        part._digits = [digit[own] for digit in self._digits]
        return part

    def times(self, other: "Frames") -> NDArray[np.floating]:
        """Mean over pixels of the product with each of `other`, each frame divided by its scale, (n, m)."""
        if self.route == "float32":
            return self._deviations_times(other)
        total = self._sparse_times(other) if self.route == "sparse" else self._digits_times(other)
        scaled = np.empty(total.shape, np.float32)
        own = self._inverse / self.n_pixels
        in_parts(len(total), lambda first, end: _scale(total, own, other._inverse, scaled, first, end))
        return scaled

    def _digits_times(self, other: "Frames") -> NDArray[Any]:
        largest = max(self._largest, other._largest, 1)
        step = max(1, _LARGEST_SUM // min(largest, _DIGIT - 1) ** 2)
        if step >= self.n_pixels and len(self._digits) == 1:
            return np.asarray(torch._int_mm(self._digits[0], other._digits[0].T))
        total = np.zeros((len(self._inverse), len(other._inverse)))
        for start in range(0, self.n_pixels, step):
            own = slice(start, start + step)
            for i, first in enumerate(self._digits):
                for j, second in enumerate(other._digits):
                    product = torch._int_mm(first[:, own], second[:, own].T).numpy()
                    total += product if i + j == 0 else product * float(_DIGIT ** (i + j))
        return total

    def _sparse_times(self, other: "Frames") -> NDArray[np.float64]:
        return np.asarray((self._pixels @ other._pixels.T).toarray(), np.float64)

    def _deviations_times(self, other: "Frames") -> NDArray[np.float64]:
        """Deviations from 1 keep the products small, so that float32 loses nothing of the contrast."""
        n, m = len(self._inverse), len(other._inverse)
        step = max(1, BLOCK_BYTES // (4 * max(n, m)))
        total = np.zeros((n, m))
        own_sum, other_sum = np.zeros(n), np.zeros(m)
        for start in range(0, self.n_pixels, step):
            block = slice(start, start + step)
            own = self._deviations(block)
            its = own if other is self else other._deviations(block)
            total += own @ its.T
            own_sum += own.sum(axis=1, dtype=np.float64)
            other_sum += its.sum(axis=1, dtype=np.float64)
        total += own_sum[:, None]
        total += other_sum
        total /= self.n_pixels
        total += 1
        return total

    def _deviations(self, block: slice) -> NDArray[np.float32]:
        assert isinstance(self._pixels, np.ndarray)
        counts = self._pixels[:, block] * self._inverse[:, None]
        if self._flat is not None:
            counts /= self._flat[block]
        counts -= 1
        return counts.astype(np.float32)


def _row_sums(counts: NDArray[np.integer], sums: NDArray[np.float64], first: int, end: int) -> None:
    for i in range(first, end):
        row, total = counts[i], np.int64(0)
        for j in range(len(row)):
            total += np.int64(row[j])
        sums[i] = total


def _scale(
    total: NDArray[Any],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    out: NDArray[np.float32],
    first: int,
    end: int,
) -> None:
    """Multiply rows `first` to `end` by their own and their columns' factors."""
    for i in range(first, end):
        source, target, factor = total[i], out[i], rows[i]
        for j in range(len(columns)):
            target[j] = source[j] * factor * columns[j]


_row_sums = compiled(_row_sums)
_scale = compiled(_scale)


def _digits(pixels: NDArray[Any], *, two: bool) -> list[torch.Tensor]:
    """Counts as signed bytes without a copy where they are bytes already; or low and high digit to the base of 128."""
    if two:
        return [torch.from_numpy(part.astype(np.int8)) for part in (pixels % _DIGIT, pixels // _DIGIT)]
    narrow = np.ascontiguousarray(pixels)
    return [torch.from_numpy(narrow.view(np.int8) if narrow.itemsize == 1 else narrow.astype(np.int8))]
