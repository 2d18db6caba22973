"""Published results out of Tiled: arrays, tables, a whole analysis."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.catalog.results.analysis_record import read_record
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.older import completed
from twotime.catalog.results.stored_form import is_halved
from twotime.catalog.server.nodes import child
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import InputError, NotFound, NotReady, TiledRefused
from twotime.results import NODES, Analysis, nodes_of
from twotime.xpcs.compact import mirrored


def read_array(
    store: AnalysisStore,
    analysis_id: str,
    name: str,
    roi: int | None = None,
    window: tuple[slice, ...] = (),
    *,
    frame: int | None = None,
) -> NDArray[Any]:
    """A published array.

    Parameters
    ----------
    name : as in `twotime.results.NODES`
    roi : number of the ROI to take out, from 1; none: the whole array
    window : slices of the axes after that of the ROIs; only these are read from Tiled
    frame : number of the denoised frame to take out, from 0; none: all

    Raises
    ------
    NotReady
        If the analysis is not done.
    NotFound
        If it holds no such array.
    InputError
        If it has no such ROI or frame.
    """
    node = _published(store, analysis_id, name, table=False)
    with tiled_errors():
        if frame is not None:
            number = node.shape[0]
            if node.metadata["axes"][0] != "frame" or frame >= number:
                raise InputError(f"frame is {frame}, but analysis {analysis_id} has the frames 0 to {number - 1}.")
            return np.asarray(node[frame])
        if roi is None:
            return _whole(node)
        axes = list(node.metadata["axes"])
        if "roi" not in axes:
            raise InputError(f"roi is {roi}, but {name} has no axis of ROIs; leave it out.")
        axis = axes.index("roi")
        number = node.shape[axis]
        if not 1 <= roi <= number:
            raise InputError(f"roi is {roi}, but analysis {analysis_id} has the ROIs 1 to {number}.")
        if is_halved(node.metadata):
            return _window(node, roi - 1, window)
        return np.asarray(node[(*([slice(None)] * axis), roi - 1, *window)])


def read_table(store: AnalysisStore, analysis_id: str, name: str) -> pd.DataFrame:
    """A published table; raises as `read_array`."""
    node = _published(store, analysis_id, name, table=True)
    with tiled_errors():
        table: pd.DataFrame = node.read()
    return table


def may_read_data(store: AnalysisStore, analysis_id: str) -> bool:
    """Whether this connection may read the data of a finished analysis, not only its metadata."""
    try:
        read_array(store, analysis_id, "frame_number")
    except (TiledRefused, NotFound):
        return False
    return True


def read_analysis(store: AnalysisStore, analysis_id: str) -> Analysis:
    """Everything published of an analysis.

    Raises
    ------
    NotReady
        If the analysis is not done.
    AnalysisNotFound
        If there is none of this id.
    """
    record = store.get(analysis_id)
    if record.status != "done":
        raise NotReady(f"Analysis {analysis_id} is {record.status}; it has no result to export.")
    with tiled_errors():
        there = set(store.node(analysis_id)[record.final])
    own = [node for node in nodes_of(record.kind) if node.name in there]
    facts = {name: value for name, value in record.facts.items() if name != "headline"}  # The tables say it in full.
    return Analysis(
        arrays={node.name: read_array(store, analysis_id, node.name) for node in own if not node.is_table},
        tables={
            node.name: completed(node.name, read_table(store, analysis_id, node.name)) for node in own if node.is_table
        },
        resolved={
            **facts,
            "recipe": record.recipe,
            "sources": record.sources,
            "finished_time": record.finished_time,
        },
        warnings=list(record.warnings),
        versions=dict(record.versions),
    )


def _whole(node: Any) -> NDArray[Any]:
    array = np.asarray(node.read())
    if not is_halved(node.metadata):
        return array
    array = np.require(array, requirements="W")
    for function in array:  # One after the other: the whole is never there twice.
        function[:] = mirrored(function)
    return array


def _window(node: Any, number: int, window: tuple[slice, ...]) -> NDArray[Any]:
    """Rows and columns of a two-time correlation function that is stored above the diagonal."""
    n = node.shape[-1]
    rows, columns = (range(*one.indices(n)) for one in (*window, *[slice(None)] * (2 - len(window))))
    if not rows or not columns:
        return np.empty((len(rows), len(columns)), node.dtype)

    def read(first: range, second: range) -> NDArray[Any]:
        return np.asarray(node[(number, *(slice(one.start, one[-1] + 1, one.step) for one in (first, second)))])

    if rows == columns:
        return mirrored(read(rows, columns))
    if rows[-1] <= columns[0]:
        return read(rows, columns)
    below = read(columns, rows).T
    return below if columns[-1] <= rows[0] else np.fmax(read(rows, columns), below)


def _published(store: AnalysisStore, analysis_id: str, name: str, *, table: bool) -> Any:
    kind = "table" if table else "array"
    names = [node.name for node in NODES if node.is_table == table]
    if name not in names:
        raise NotFound(f"{name} is no {kind} of an analysis; there are {', '.join(names)}.")
    container = store.node(analysis_id)
    record = read_record(analysis_id, container.metadata)
    if record.status != "done":
        why = f": {record.error}" if record.error else ""
        raise NotReady(f"Analysis {analysis_id} is {record.status}{why or '; its results come when it is done.'}")
    with tiled_errors():
        node = child(container, f"{record.final}/{name}")
        if node is None:
            final = child(container, record.final)
            there = [] if final is None else [key for key in final if key in names]
            raise NotFound(f"Analysis {analysis_id} holds no {kind} {name}; it holds {', '.join(there) or 'none'}.")
    return node
