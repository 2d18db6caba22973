"""Costs of scans measured on this machine, with a real Tiled."""

from pathlib import Path

import pytest

from twotime.cli.capacity_measurement import measure
from twotime.pipeline import no_progress
from twotime.pipeline.capacity import Demand, Measurement, ScanSize, capacity
from twotime.pipeline.numerics import NUMERICS
from twotime.pipeline.planning import BYTES_PER_PAIR
from twotime.settings import Settings

pytestmark = pytest.mark.long


def test_this_machine_is_measured_and_larger_scans_cost_more(tmp_path: Path) -> None:
    found = measure(no_progress, Settings(var_dir=tmp_path / "var"))
    found.save(tmp_path / "costs.json")

    assert found.numerics == NUMERICS
    assert Measurement.load(tmp_path / "costs.json") == found
    assert all(cost >= 0 for terms in found.costs.values() for cost in terms.values())
    small, large = ScanSize(200, 10**6, 2, 1000), ScanSize(1000, 4 * 10**6, 20, 5000)
    for stage in ("reading", "computing", "Tiled", "stored bytes", "frame bytes"):
        assert 0 < found.cost(stage, small) < found.cost(stage, large)
    # Of a pair at most what is held of it in memory lies on disk, and something does.
    assert 0.1 < found.cost("stored bytes", large) / large.n_pairs < BYTES_PER_PAIR
    assert capacity(Demand(4 * 10**6, 200.0, 1000, 500, 20, 5000), found, 2**33).cores_for_the_day >= 1
    assert not (tmp_path / "var").exists()
