"""Parts of published arrays as raw numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from twotime.errors import InputError


def part_of(start: int, stop: int | None, length: int, names: tuple[str, str], things: str) -> slice:
    """One edge of a part of an array.

    Parameters
    ----------
    stop : None: to the end
    length : of the whole edge
    names : of `start` and `stop`, as the caller gave them
    things : what the edge counts

    Raises
    ------
    InputError
        If the part is empty or reaches beyond the array.
    """
    last = length if stop is None else stop
    if start < last <= length:
        return slice(start, last)
    first, end = names
    raise InputError(
        f"{first} is {start} and {end} is {last}, but there are {length} {things}; "
        f"give 0 <= {first} < {end} <= {length}."
    )


def numbers_response(part: NDArray[Any], rows: slice, columns: slice, step: int, tag: str, **headers: str) -> Response:
    """Little-endian float32, row after row, with the headers that say which part of the array it is.

    Parameters
    ----------
    part : (R, C), each point the mean of `step` x `step` values from the first of `rows` and `columns` on
    tag : ETag
    headers : further ones, with _ in place of -
    """
    own = {
        "ETag": tag,
        "X-Shape": ",".join(str(edge) for edge in part.shape),
        "X-Dtype": "<f4",
        "X-Start": f"{rows.start},{columns.start}",
        "X-Step": str(step),
    }
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(np.ascontiguousarray(part, "<f4").tobytes(), media_type="application/octet-stream", headers=own)
