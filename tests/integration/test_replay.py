"""A finished run played again lands in Tiled as a new run with the same frames, at the pace that was asked for."""

import time

import numpy as np
import pytest
from rich.console import Console
from tests.writing import FRAMES, GEOMETRY

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.cli.replay import replay
from twotime.errors import RunNotFound
from twotime.simulate import write_run


@pytest.mark.parametrize(("detector", "layout"), [("eiger4m_single", "burst"), ("camera", "events")])
def test_replayed_run_holds_the_frames_and_the_start_document_of_the_first(
    raw, settings, detector_folder, detector, layout
):
    folder = detector_folder / "replay"
    first = write_run(raw, FRAMES, GEOMETRY, folder, detector=detector, shape_style=layout, sample="played twice")
    began = time.monotonic()

    replay(settings, first, speed=2.0, folder=folder, console=Console(quiet=True))

    took = time.monotonic() - began
    runs = [find_run(raw, first), find_run(raw, -1)]
    facts = [run_facts(run) for run in runs]
    frames = [
        np.concatenate([block for _, block in TiledFrames(*one).blocks(0, 240)])
        for one in zip(runs, facts, strict=True)
    ]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert runs[1].metadata["start"]["replay_of"] == first
    assert (facts[1].sample, facts[1].detector) == ("played twice", facts[0].detector)
    assert {name: found.value for name, found in facts[0].geometry.items()} == {
        name: found.value for name, found in facts[1].geometry.items()
    }
    assert took > 240 * 0.01 / 2


def test_run_that_is_not_there_is_not_replayed(settings, tmp_path):
    with pytest.raises(RunNotFound, match="No run has the scan_id 999999"):
        replay(settings, "999999", speed=1.0, folder=tmp_path, console=Console(quiet=True))
