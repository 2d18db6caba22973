"""Publishing results in Tiled: every array and table under ``final``, the headline numbers as a Bluesky run.

`TiledSink.publish` writes the arrays and tables, then the run, then ``status: done``. A reader who checks the status
sees the whole analysis or nothing.
"""

import itertools
import math
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pandas as pd
import structlog
from bluesky_live.run_builder import RunBuilder
from bluesky_tiled_plugins import TiledWriter
from tiled.client.container import Container
from tiled.structures.array import ArrayStructure, BuiltinDtype
from tiled.structures.core import Spec, StructureFamily
from tiled.structures.data_source import DataSource

from twotime.catalog.results.analysis_record import FINAL, AnalysisRecord, plain
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.series_scans import headline
from twotime.catalog.results.stored_form import StoredForm
from twotime.catalog.server.access_tags import tags_of
from twotime.catalog.server.nodes import child, create_once, remove
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.columns import COLUMNS, unit_of
from twotime.errors import TiledUnavailable
from twotime.pipeline.protocols import Progress, no_progress
from twotime.results import DENOISED_FRAMES, Analysis, Node, nodes_of
from twotime.verdict import Evidence, verdict
from twotime.verdict.evidence import ARRAYS, TABLES

log = structlog.get_logger()

OTHER_FINALS = ("final_2", "final_3")
"""Keys of the results container if Tiled cannot create nodes below `FINAL`; `AnalysisRecord.final` says which."""
RUNS = "runs"
_SERVER_FAILED = 500
RESULT_SPECS = {"xpcs": Spec("xpcs_result"), "frames": Spec("frames_result")}
TWO_TIME_SPEC = Spec("xpcs_two_time")
DENOISED_FRAMES_SPEC = Spec(DENOISED_FRAMES)
LONGEST_CHUNK = 1000
CHUNK_BYTES = 4 * 2**20
UPLOADS = 2
"""Chunks on their way at a time: one is made while Tiled compresses the other."""
_RUN_NAMESPACE = uuid.UUID("6f5b2f0e-8a1c-5d0e-9a55-6b1c0d7a7e11")
_RUN_COLUMNS = {
    "fits": (
        "roi",
        "q",
        "headline",
        "relaxation_rate",
        "relaxation_rate_error",
        "beta",
        "beta_error",
        "baseline",
        "baseline_error",
        "alpha",
        "alpha_error",
        "trusted",
        "flag",
    ),
    "frames": (
        "frame_number",
        "frames_summed",
        "scan_value",
        "counts",
        "counts_denoised",
        "residual_deviation",
        "n_peaks",
    ),
}
"""Of the table with the headline numbers, in the Bluesky run."""


class TiledSink:
    """Publishes one attempt of an analysis; implements `twotime.pipeline.ResultSink`.

    Parameters
    ----------
    store : the analyses
    record : the attempt, claimed by this process
    progress : called before each node; an exception from it stops the publishing
    """

    def __init__(self, store: AnalysisStore, record: AnalysisRecord, progress: Progress = no_progress) -> None:
        self.store = store
        self.record = record
        self.progress = progress

    def publish(self, analysis: Analysis) -> None:
        """Write everything, the status last. Safe to repeat after a failure half-way."""
        self.clear()
        container = self.store.node(self.record.id)
        with tiled_errors():
            final = self._write(container, analysis)
            self.progress("publishing", 1.0)
            _write_run(self.store.results, self.record, analysis, tags_of(container))
        self.store.done(
            self.record,
            final=final,
            timings_s=analysis.timings_s,
            warnings=analysis.warnings,
            facts=_described(analysis) | headline(analysis.tables),
        )

    def clear(self) -> None:
        """Remove what an earlier attempt wrote; raises `ClaimLost` if this attempt was taken over."""
        self.store.require_claim(self.record)
        container = self.store.node(self.record.id)
        with tiled_errors():
            for key in [key for key in container if key.startswith(FINAL)]:
                remove(container, key)
            runs = child(self.store.results, RUNS)
            if runs is not None:
                remove(runs, run_uid(self.record.id))

    def _write(self, container: Container, analysis: Analysis) -> str:
        """Write all nodes below `FINAL` or, if Tiled cannot create a node there, below another key; returns the key.

        A Tiled that is killed while it creates an array leaves a file without a catalog entry. From then on it answers
        500 to every attempt to create an array of that name at that place.
        """
        for key in (FINAL, FINAL, *OTHER_FINALS[:-1]):
            try:
                self._write_below(container, key, analysis)
            except httpx.HTTPStatusError as error:
                making = error.request.method == "POST" and error.request.url.path.endswith(f"/{key}")
                if not making or error.response.status_code != _SERVER_FAILED:
                    raise
                log.warning("node_not_made", analysis_id=self.record.id, below=key, reason=str(error))
                remove(container, key)
            else:
                return key
        self._write_below(container, OTHER_FINALS[-1], analysis)
        return OTHER_FINALS[-1]

    def _write_below(self, container: Container, key: str, analysis: Analysis) -> None:
        final = container.create_container(
            key,
            specs=[RESULT_SPECS[analysis.kind]],
            metadata=plain(_described(analysis)),
            access_tags=tags_of(container),
        )
        nodes = [node for node in nodes_of(analysis.kind) if _has(analysis, node)]
        form = StoredForm(analysis)
        for number, node in enumerate(nodes):
            self.progress("publishing", number / (len(nodes) + 1))
            if node.is_table:
                _write_table(final, node, analysis)
            else:
                _write_array(final, node, analysis, form)


def run_uid(analysis_id: str) -> str:
    """Uid of the Bluesky run with the headline numbers of an analysis, computed from the analysis id."""
    return str(uuid.uuid5(_RUN_NAMESPACE, analysis_id))


def _has(analysis: Analysis, node: Node) -> bool:
    if node.is_table:
        return node.name in analysis.tables and len(analysis.tables[node.name].columns) > 0
    return node.name in analysis.arrays


def _described(analysis: Analysis) -> dict[str, Any]:
    """Metadata of the whole result, without fields that the record already has."""
    known = {key: value for key, value in analysis.resolved.items() if key not in ("recipe", "sources", "warnings")}
    if not all(name in analysis.tables for name in TABLES) or not all(name in analysis.arrays for name in ARRAYS):
        return known
    return known | {"verdict": verdict(Evidence.of(analysis)).document()}


def _node_metadata(node: Node, analysis: Analysis) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "description": node.description,
        "equation": node.equation,
        "frame_time_s": analysis.resolved.get("frame_time_s"),
    }
    if not node.is_table:
        metadata |= {"axes": list(node.axes), "unit": node.unit}
    if analysis.kind == "xpcs" and ("roi" in node.axes or node.is_table):
        rois = analysis.resolved.get("rois", [])
        metadata |= {"roi": [row["roi"] for row in rois], "q": [row["q"] for row in rois], "q_unit": "1/Å"}
    return metadata


def _write_table(final: Container, node: Node, analysis: Analysis) -> None:
    table = analysis.tables[node.name].reset_index(drop=True)
    known = COLUMNS.get(node.name, {})
    columns = {
        name: {"unit": known[name].unit, "description": known[name].description} for name in known if name in table
    }
    metadata = plain({**_node_metadata(node, analysis), "columns": columns})
    final.write_table(table, key=node.name, metadata=metadata, access_tags=tags_of(final))


def _write_array(final: Container, node: Node, analysis: Analysis, form: StoredForm) -> None:
    """Upload chunk by chunk, so that no more than `UPLOADS` chunks are copied at a time."""
    array = analysis.arrays[node.name]
    chunks = _chunks(array.shape, node.axes, array.dtype.itemsize)
    structure = ArrayStructure(
        shape=array.shape,
        chunks=chunks,
        dims=node.axes,
        data_type=BuiltinDtype.from_numpy_dtype(array.dtype),
    )
    client = final.new(
        StructureFamily.array,
        [DataSource(structure=structure, structure_family=StructureFamily.array)],
        key=node.name,
        metadata=plain(_node_metadata(node, analysis) | form.metadata(node.name)),
        specs=_specs(node),
        access_tags=tags_of(final),
    )

    def upload(part: tuple[tuple[int, ...], tuple[slice, ...]]) -> None:
        block, index = part
        client.write_block(form.block(node.name, index), block=block)

    with ThreadPoolExecutor(UPLOADS, "upload") as pool:
        for _ in pool.map(upload, _blocks(chunks)):
            pass


def _specs(node: Node) -> list[Spec]:
    if node.axes == ("roi", "frame_1", "frame_2"):
        return [TWO_TIME_SPEC]
    return [DENOISED_FRAMES_SPEC] if node.name == "rate" else []


def _chunks(shape: tuple[int, ...], axes: tuple[str, ...], itemsize: int) -> tuple[tuple[int, ...], ...]:
    """Chunks of at most 1000 x 1000 of a picture, with as many pictures as fit `CHUNK_BYTES`, at least one.

    A picture is the two-time function of a ROI, or a detector frame.

    Each message costs Tiled 40 ms, with 0.4 MB as with 1.4 MB: one chunk for several small functions published ten ROIs
    of 600 frames in 2.1 s instead of 3.9 s. Other arrays have chunks of 1000 along each axis.
    """
    longest = dict.fromkeys(axes, LONGEST_CHUNK)
    if len(axes) == 3:
        one = itemsize * math.prod(min(length, LONGEST_CHUNK) for length in shape[1:])
        longest[axes[0]] = max(1, CHUNK_BYTES // max(one, 1))
    return tuple(_split(length, longest[name]) for length, name in zip(shape, axes, strict=True))


def _split(length: int, longest: int) -> tuple[int, ...]:
    return tuple(min(longest, length - start) for start in range(0, length, longest)) or (0,)


def _blocks(chunks: tuple[tuple[int, ...], ...]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    starts = [list(itertools.accumulate(sizes, initial=0)) for sizes in chunks]
    for block in itertools.product(*(range(len(sizes)) for sizes in chunks)):
        index = tuple(slice(starts[axis][k], starts[axis][k + 1]) for axis, k in enumerate(block))
        if all(part.stop > part.start for part in index):
            yield block, index


def _write_run(results: Container, record: AnalysisRecord, analysis: Analysis, tags: list[str] | None) -> None:
    name_of_table = "fits" if analysis.kind == "xpcs" else "frames"
    rows = analysis.tables.get(name_of_table)
    if rows is None or rows.empty:
        return
    columns = [name for name in _RUN_COLUMNS[name_of_table] if name in rows and not _is_unknown(rows[name])]
    # The writer removes this field from the document and sets the tags on every node it creates.
    for_writer = {} if tags is None else {"tiled_access_tags": tags}
    builder = RunBuilder(metadata=_start_metadata(record) | for_writer, uid=run_uid(record.id))
    builder.add_stream(
        "primary",
        data_keys={name: _data_key(name_of_table, name, rows[name]) for name in columns},
        data={name: rows[name].tolist() for name in columns},
    )
    builder.close()
    create_once(results, RUNS, {}, specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    writer = TiledWriter(results[RUNS], batch_size=len(rows))
    for name, document in builder.get_run().documents(fill="no"):
        writer(name, document)
    # The writer retries failed requests, by which rows may be written twice, as its documentation says.
    n_rows = len(results[RUNS][run_uid(record.id)]["primary"].read()[columns[0]])
    if n_rows != len(rows):
        raise TiledUnavailable(f"Tiled kept {n_rows} rows of {len(rows)} headline numbers; they are written again.")


def _start_metadata(record: AnalysisRecord) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "plan_name": f"{record.kind}_analysis",
        "analysis_id": record.id,
        "raw_uid": record.raw_uid,
        "parents": list(record.parents),
        "attempt": record.attempt,
        "digest": record.digest,
        "versions": record.versions,
    }
    if record.scan_id is not None:
        metadata["raw_scan_id"] = record.scan_id
    if record.sample is not None:
        metadata["sample"] = record.sample
    return metadata


def _is_unknown(column: "pd.Series[Any]") -> bool:
    """Whether a column of an optional value, such as that of the scan variable, holds none."""
    return bool(column.name == "scan_value" and column.isna().all())


def _data_key(table: str, name: str, column: "pd.Series[Any]") -> dict[str, Any]:
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    key = {"source": "twotime", "dtype": kinds.get(column.dtype.kind, "string"), "shape": []}
    unit = unit_of(table, name)
    return key | ({} if unit in ("1", "see scan_variable") else {"units": unit})
