"""Denoised frames from a run in Tiled to results in Tiled, by the service with a real worker."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.waiting import Loop, until

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.publish import RUNS, run_uid
from twotime.errors import NotFound, RecipeError, UnusableRun
from twotime.jobs import Service
from twotime.results import DENOISED_FRAMES, nodes_of
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, write_scan
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(30.0, 20.0, 5.0, 1.24, 75e-6, 1.0)
SHAPE = (40, 56)
BOX = {"rows": [10, 23], "columns": [24, 37]}
RECIPE = {"kind": "frames", "regions": [BOX], "peaks": {"significance": 4}}
"""For the frames as they are seen: the detector writes them upside down."""
TEMPERATURES = (10.0, 20.0, 30.0, 40.0)


def counts(n_frames: int = 4) -> np.ndarray:
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = np.exp(-((row - 16) ** 2 + (column - 30) ** 2) / 6)
    brightness = np.linspace(20, 0, n_frames)[:, None, None]
    return np.random.default_rng(3).poisson(0.3 + brightness * peak).astype(np.uint16)


@pytest.fixture(scope="module")
def write(raw: Any, detector_folder: Path) -> Callable[..., str]:
    def _write(**metadata: Any) -> str:
        scan = Scan(
            sample="charge order",
            layout="frames",
            variables={"sample_temperature": ("K", TEMPERATURES)},
            metadata={"motors": ["sample_temperature"], **metadata},
        )
        return write_scan(raw, counts(), GEOMETRY, detector_folder / uuid.uuid4().hex[:8], scan)

    return _write


@pytest.fixture(scope="module")
def service(settings: Settings, call: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "frames.json").write_text(json.dumps(RECIPE))
    rules = {"rules": [{"name": "frames of scans", "where": {"beamtime": "frames-*"}, "recipe": "frames.json"}]}
    rules["rules"].append({"name": "all others", "where": {}, "skip": "belong to other tests"})
    (folder / "rules.json").write_text(json.dumps(rules))
    own = {
        "results_path": f"frames-{uuid.uuid4().hex[:6]}",
        "rules_file": folder / "rules.json",
        "catch_up_s": 0.0,
        "live": False,
    }
    started = Service(settings.model_copy(update={**own, "threads_per_worker": 1}))
    call(started.start())
    until(lambda: started.health().ready)
    yield started
    call(started.stop())


def ended(service: Service, call: Loop, key: str) -> AnalysisRecord:
    until(lambda: call(service.unrestricted.analysis(key)).ended)
    return call(service.unrestricted.analysis(key))


@pytest.fixture(scope="module")
def record(service: Service, call: Loop, write: Callable[..., str]) -> AnalysisRecord:
    asked = call(service.unrestricted.submit(write(scan_id=901), RECIPE))
    found = ended(service, call, asked.id)
    assert (found.status, found.error) == ("done", None)
    return found


def test_all_nodes_are_published_with_what_they_are(service: Service, record: AnalysisRecord) -> None:
    final = service.unrestricted._viewer.store.node(record.id)[record.final]

    assert set(final) == {node.name for node in nodes_of("frames")}
    assert [spec.name for spec in final.specs] == ["frames_result"]
    assert [spec.name for spec in final["rate"].specs] == [DENOISED_FRAMES]
    assert final["rate"].metadata["axes"] == ["frame", "row", "column"]
    assert final["regions"].metadata["columns"]["counts"]["unit"] == "counts"
    assert record.kind == "frames"
    assert record.facts["scan_variable"] == {"name": "sample_temperature", "unit": "K"}
    assert set(record.versions) == {"twotime", "numerics", "frame_denoiser"}


def test_published_frames_are_those_that_were_measured(service: Service, call: Loop, record: AnalysisRecord) -> None:
    raw, rate = (call(service.unrestricted.read_array(record.id, name)) for name in ("frames_raw", "rate"))

    np.testing.assert_array_equal(raw, counts())
    assert np.isfinite(rate).all()
    assert rate.sum() == pytest.approx(raw.sum(), rel=0.1)


def test_counts_of_a_region_stand_against_the_temperature(service: Service, call: Loop, record: AnalysisRecord) -> None:
    regions = call(service.unrestricted.read_table(record.id, "regions"))

    assert regions["scan_value"].tolist() == list(TEMPERATURES)
    assert regions["counts"].tolist() == counts()[:, 10:23, 24:37].sum(axis=(1, 2)).tolist()
    assert "change with sample_temperature" in " ".join(one["sentence"] for one in record.facts["verdict"])


def test_peaks_stand_where_the_peak_is(service: Service, call: Loop, record: AnalysisRecord) -> None:
    first = call(service.unrestricted.read_table(record.id, "peaks")).query("frame == 0").iloc[0]

    assert (first["row"], first["column"]) == (pytest.approx(16, abs=1), pytest.approx(30, abs=1))


def test_headline_numbers_are_a_run_that_databroker_finds(service: Service, record: AnalysisRecord) -> None:
    run = service.unrestricted._viewer.store.results[RUNS][run_uid(record.id)]

    assert run.metadata["start"]["plan_name"] == "frames_analysis"
    assert run["primary"].read()["scan_value"].values.tolist() == list(TEMPERATURES)


def test_same_request_finds_the_same_analysis(service: Service, call: Loop, record: AnalysisRecord) -> None:
    again = call(service.unrestricted.submit(record.raw_uid, RECIPE))
    plan = call(service.unrestricted.plan(record.raw_uid, RECIPE))

    assert (again.id, again.status) == (record.id, "done")
    assert (plan["analysis_id"], plan["status"]) == (record.id, "done")
    assert plan["rois"][0]["n_pixels"] == 169


def test_rule_with_a_recipe_of_frames_takes_a_run_whose_motors_moved(
    service: Service, call: Loop, write: Callable[..., str]
) -> None:
    uid = write(scan_id=902, beamtime="frames-1")
    until(lambda: call(service.unrestricted.analyses(raw_uid=uid))[1] == 1)
    (found,), _ = call(service.unrestricted.analyses(raw_uid=uid))

    assert (found.kind, found.automatic) == ("frames", True)
    assert ended(service, call, found.id).status == "done"


def test_run_without_scan_variable_is_told_by_the_recipe(
    service: Service, call: Loop, write: Callable[..., str]
) -> None:
    with pytest.raises(RecipeError, match="records no such scalar; it records i0, sample_temperature"):
        call(service.unrestricted.submit(write(scan_id=903), RECIPE | {"scan_variable": "field"}))


@pytest.mark.parametrize("recipe", [{}, RECIPE])
def test_run_of_denoised_frames_is_refused(
    service: Service, call: Loop, write: Callable[..., str], recipe: dict[str, Any]
) -> None:
    uid = write(scan_id=904, **{DENOISED_FRAMES: True})

    with pytest.raises(UnusableRun, match=f"holds denoised frames \\({DENOISED_FRAMES} in its start document\\)"):
        call(service.unrestricted.submit(uid, recipe))


def test_run_whose_file_is_marked_is_refused(raw: Any, service: Service, call: Loop, detector_folder: Path) -> None:
    folder = detector_folder / uuid.uuid4().hex[:8]
    uid = write_scan(raw, counts(), GEOMETRY, folder, Scan(layout="frames", scan_id=905))
    (file,) = folder.glob("*_data_*.h5")
    with h5py.File(file, "r+") as opened:
        opened.attrs[DENOISED_FRAMES] = True

    with pytest.raises(UnusableRun, match=f"attribute {DENOISED_FRAMES} of {file.name}"):
        call(service.unrestricted.submit(uid, {}))


def test_table_of_correlation_functions_is_not_there(service: Service, call: Loop, record: AnalysisRecord) -> None:
    with pytest.raises(NotFound, match="holds no table fits; it holds frames, peaks, regions"):
        call(service.unrestricted.read_table(record.id, "fits"))
