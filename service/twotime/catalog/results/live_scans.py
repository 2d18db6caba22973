"""Live scans in Tiled, under ``live/<uid>``: small arrays that are overwritten while the scan runs.

They are no results. They stand beside the analyses and not below one, because the id of an analysis holds the number of
frames, which is known only when the run has ended; an aborted run gets no analysis at all.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tiled.client.container import Container
from tiled.structures.array import ArrayStructure, BuiltinDtype
from tiled.structures.core import Spec, StructureFamily
from tiled.structures.data_source import DataSource

from twotime.catalog.results.analysis_record import plain
from twotime.catalog.server.access_tags import giving_tags, tags_of
from twotime.catalog.server.nodes import child, create_once, remove
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import InputError, NotFound

LIVE = "live"
LIVE_SPEC = Spec("xpcs_live")
MOST_KEPT = 20
MESSAGE_BYTES = 900_000
"""Size of one write. Subscribers of Tiled get it as a websocket message, and their client closes at 1 MB."""
ARRAYS = {
    "two_time": ("roi", "cell_1", "cell_2"),
    "two_time_denoised": ("roi", "cell_1", "cell_2"),
    "g2": ("roi", "quantity", "lag"),
    "intensity": ("roi", "cell"),
    "mean_frame": ("row", "column"),
    "frame_raw": ("row", "column"),
    "frame_rate": ("row", "column"),
    "frame_error": ("row", "column"),
    "frame_residual": ("row", "column"),
}
"""Arrays of a live scan and their axes. A cell is `frames_per_cell` frames; of denoised frames the newest is there."""
G2_QUANTITIES = ("lag_s", "g2_raw", "g2_raw_error", "g2_raw_fit", "g2_denoised", "g2_denoised_error", "g2_denoised_fit")


@dataclass(frozen=True)
class LiveScan:
    """A live scan as last written.

    Attributes
    ----------
    uid : of the run
    metadata : kind, scan_id, sample, state ("waiting", "running", "ended", "failed"), message, n_frames, announced,
        frame_time_s, frames_per_cell, rois, fits, warnings, updated_time, and more
    """

    uid: str
    metadata: dict[str, Any]


class LiveSink:
    """Writes one live scan; replaces what an earlier session of the same run wrote.

    Parameters
    ----------
    results : container of the analyses
    uid : of the raw run
    metadata : fields that do not change while it runs
    access_tags : of the raw run
    """

    def __init__(
        self, results: Container, uid: str, metadata: Mapping[str, Any], access_tags: Sequence[str] = ()
    ) -> None:
        self.uid = uid
        with tiled_errors():
            create_once(results, LIVE, {})
            parent = results[LIVE]
            _make_room(parent, uid)
            now = time.time()
            metadata = plain({**metadata, "created_time": now, "updated_time": now})
            with giving_tags(uid, access_tags):
                parent.create_container(
                    uid, metadata=metadata, specs=[LIVE_SPEC], access_tags=list(access_tags) or None
                )
            self._node: Container = parent[uid]
            self._arrays: dict[str, Any] = {}

    def update(self, **changes: Any) -> None:
        """Update fields of the metadata."""
        changes = plain({**changes, "updated_time": time.time()})
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in changes.items()]
        with tiled_errors():
            self._node.patch_metadata(metadata_patch=patch, drop_revision=True)

    def write(self, arrays: Mapping[str, NDArray[np.float32]], **changes: Any) -> None:
        """Write arrays as named in `ARRAYS`, in messages below 1 MB, then fields of the metadata."""
        with tiled_errors():
            for name, array in arrays.items():
                self._write(name, np.ascontiguousarray(array, np.float32))
        self.update(**changes)

    def _write(self, name: str, array: NDArray[np.float32]) -> None:
        known = self._arrays.get(name)
        if known is None or known.shape != array.shape:
            if known is not None:
                remove(self._node, name)
            self._arrays[name] = known = _new_array(self._node, name, array.shape)
        length = known.chunks[0][0]
        for number, first in enumerate(range(0, len(array), length)):
            known.write_block(array[first : first + length], block=(number, *[0] * (array.ndim - 1)))


def live_scans(results: Container) -> list[LiveScan]:
    """Live scans, newest first."""
    with tiled_errors():
        parent = child(results, LIVE)
        nodes = [] if parent is None else list(parent.items())
    scans = [LiveScan(uid, dict(node.metadata)) for uid, node in nodes]
    return sorted(scans, key=lambda scan: -float(scan.metadata.get("created_time") or 0))


def live_scan(results: Container, uid: str) -> LiveScan:
    """One scan; raises `NotFound`."""
    return LiveScan(uid, dict(_node(results, uid).metadata))


def read_live_array(results: Container, uid: str, name: str, roi: int | None = None) -> NDArray[np.float32]:
    """An array of a live scan.

    Parameters
    ----------
    name : one of `ARRAYS`
    roi : number of the ROI to take out, from 1; none: the whole array

    Raises
    ------
    NotFound
        If the scan is not known, or has no such array yet.
    InputError
        If it has no such ROI.
    """
    node = _node(results, uid)
    with tiled_errors():
        array = child(node, name) if name in ARRAYS else None
        if array is None:
            raise NotFound(f"The live scan {uid[:8]} has no {name} yet; it comes with its first frames.")
        if roi is None:
            return np.asarray(array.read())
        if not 1 <= roi <= array.shape[0]:
            raise InputError(f"roi is {roi}, but the live scan {uid[:8]} has the ROIs 1 to {array.shape[0]}.")
        return np.asarray(array[roi - 1])


def _node(results: Container, uid: str) -> Container:
    with tiled_errors():
        parent = child(results, LIVE)
        node = None if parent is None or "/" in uid else child(parent, uid)
    if node is None:
        raise NotFound(f"No scan {uid!r} is followed live; GET /api/v1/live lists those that are.")
    found: Container = node
    return found


def _make_room(parent: Container, uid: str) -> None:
    """Remove an earlier node of the same run and, beyond `MOST_KEPT`, the nodes that were not written for longest."""
    there = sorted(parent.items(), key=lambda item: float(item[1].metadata.get("updated_time") or 0))
    old = [key for key, _ in there if key != uid][: max(0, len(there) - MOST_KEPT + 1)]
    for key in {*old, *({uid} & {key for key, _ in there})}:
        remove(parent, key)


def _new_array(node: Container, name: str, shape: tuple[int, ...]) -> Any:
    row_bytes = 4 * int(np.prod(shape[1:]))
    length = max(1, min(shape[0], MESSAGE_BYTES // max(row_bytes, 1)))
    first = tuple(min(length, shape[0] - start) for start in range(0, shape[0], length))
    structure = ArrayStructure(
        shape=shape,
        chunks=(first, *((edge,) for edge in shape[1:])),
        dims=ARRAYS[name],
        data_type=BuiltinDtype.from_numpy_dtype(np.dtype(np.float32)),
    )
    source = DataSource(structure=structure, structure_family=StructureFamily.array)
    metadata = {"axes": list(ARRAYS[name])}
    return node.new(StructureFamily.array, [source], key=name, metadata=metadata, access_tags=tags_of(node))
