"""A short, seeded round of every fault: nothing lost, nothing double, the same numbers; ``make faults`` goes on longer."""

from collections import Counter
from pathlib import Path

import pytest
from tests.faults.harness import FAULTS, disturb
from tests.faults.site import Site

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def site(tmp_path: Path):
    """A beamline that runs."""
    one = Site(tmp_path)
    one.start()
    yield one
    one.stop()


def test_every_fault_leaves_each_scan_with_one_whole_analysis(site: Site) -> None:
    assert disturb(site, Counter(dict.fromkeys(FAULTS, 1)), seed=7) == []
