"""Capacity planning: from measured costs to cores, memory and disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from twotime.cli.capacity import plan_capacity
from twotime.errors import InputError
from twotime.pipeline.capacity import (
    Costs,
    Demand,
    Measurement,
    ScanSize,
    Stage,
    capacity,
    fit_costs,
)
from twotime.pipeline.planning import BYTES_PER_PAIR
from twotime.settings import Settings

COSTS: Costs = {
    "reading": {"analysis": 0.01, "pixel of a frame": 2e-9, "count in a ROI": 1e-9},
    "computing": {
        "ROI": 0.02,
        "frame and ROI": 4e-4,
        "pair of frames and ROI": 2e-8,
        "pair of frames and pixel": 1e-11,
    },
    "publishing": {"analysis": 0.2, "pair of frames and ROI": 3e-8},
    "Tiled": {"analysis": 0.6, "pair of frames and ROI": 1e-7},
    "stored bytes": {"analysis": 5e5, "pair of frames and ROI": 5.0},
    "frame bytes": {"pixel of a frame": 0.25},
}
MEASURED = Measurement("a machine", "1", COSTS, 700_000_000, 0.1)
EIGER_4M = Demand(4_485_690, 200.0, 1000, 500, 20, 5000)
BUDGET = 8 * 2**30
SIZES = [
    ScanSize(n_frames, n_pixels, n_rois, pixels)
    for n_frames, n_pixels, n_rois, pixels in (
        (150, 10**4, 1, 300),
        (500, 10**4, 1, 300),
        (1000, 10**4, 1, 300),
        (1000, 10**4, 3, 3000),
        (600, 10**4, 1, 9000),
        (60, 10**6, 4, 20000),
    )
]


def test_costs_are_recovered_from_measured_scans() -> None:
    stages: tuple[Stage, ...] = ("reading", "computing", "publishing", "Tiled", "stored bytes", "frame bytes")
    samples = {stage: [(size, MEASURED.cost(stage, size)) for size in SIZES] for stage in stages}

    costs, error = fit_costs(samples)

    assert error < 1e-6
    for stage in stages:
        assert costs[stage] == pytest.approx(COSTS[stage], rel=1e-4)


def test_costs_are_never_negative_and_say_how_well_they_fit() -> None:
    costs, error = fit_costs({"publishing": [(SIZES[0], 2.0), (SIZES[2], 1.0)]})

    assert min(costs["publishing"].values()) >= 0
    assert error > 0.2


def test_scan_of_a_4m_detector_takes_what_its_stages_cost() -> None:
    found = capacity(EIGER_4M, MEASURED, BUDGET)

    pairs = 20 * 1000**2
    assert found.bin == 1
    assert found.seconds["reading"] == pytest.approx(0.01 + 1000 * 4_485_690 * 2e-9 + 1000 * 20 * 5000 * 1e-9)
    assert found.worker_bytes == 700_000_000 + 1000 * 20 * 5000 * 2 + pairs * BYTES_PER_PAIR
    assert found.stored_bytes == 500_000 + 5 * pairs
    assert found.stored_bytes_per_day == 500 * found.stored_bytes
    total_s = sum(found.seconds.values())
    assert found.cores_for_the_day == 1
    assert 0.7 * 5.0 * (found.cores_to_keep_up - 1) < total_s <= 0.7 * 5.0 * found.cores_to_keep_up
    assert found.notes == [
        "Reading a scan as fast as it is taken keeps 1.8 cores busy; with fewer its live view lags behind the detector."
    ]


def test_more_scans_take_more_cores_and_more_disk() -> None:
    few = capacity(EIGER_4M, MEASURED, BUDGET)
    many = capacity(replace(EIGER_4M, scans_per_day=15000), MEASURED, BUDGET)

    assert many.cores_for_the_day > 2 * few.cores_for_the_day
    assert many.stored_bytes_per_day == 30 * few.stored_bytes_per_day
    assert many.cores_to_keep_up == few.cores_to_keep_up


def test_frames_are_added_where_an_analysis_would_add_them() -> None:
    found = capacity(replace(EIGER_4M, n_frames=20000, scans_per_day=10), MEASURED, BUDGET)

    assert found.bin == 4
    assert "Every 4 frames are added" in found.notes[0]
    assert found.worker_bytes < 700_000_000 + 20000 * 20 * 5000 * 2 + BUDGET
    assert found.stored_bytes == 500_000 + 5 * 20 * 5000**2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_rois": 1000}, "1000 ROIs of 5000 pixels are 5000000 pixels, but a frame has 4485690"),
        ({"scans_per_day": 20000}, "take 27.8 h, more than a day"),
    ],
)
def test_demand_that_contradicts_itself_is_refused(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        capacity(replace(EIGER_4M, **changes), MEASURED, BUDGET)


def test_stored_measurement_gives_the_same_numbers_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MEASURED.save(tmp_path / "costs.json")

    plan_capacity(Settings(), EIGER_4M, Console(), measurement=tmp_path / "costs.json", as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert told["capacity"] == capacity(EIGER_4M, MEASURED, BUDGET).document()
    assert told["demand"]["n_frames"] == 1000
    assert told["measurement"]["costs"] == COSTS


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": "a", "numerics": "1", "costs": {}, "process_bytes": 1}'])
def test_file_that_holds_no_measurement_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "costs.json").write_text(text)

    with pytest.raises(InputError, match="holds no measurement"):
        Measurement.load(tmp_path / "costs.json")
