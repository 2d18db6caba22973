"""A scan is followed while it is written: shown in Tiled as it grows, and handed over whole when it ends."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from tests.waiting import LONGEST_S, until
from tests.writing import FRAMES, Writing

from twotime.catalog.results.live_scans import (
    MESSAGE_BYTES,
    MOST_KEPT,
    LiveSink,
    live_scan,
    live_scans,
    read_live_array,
)
from twotime.catalog.runs.detector_files import pixel_cache
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import results_container
from twotime.errors import NotFound
from twotime.live.session import LiveSession
from twotime.live.supervisor import LiveSupervisor
from twotime.pipeline import analyse, no_progress, plan
from twotime.pipeline.one_roi import warm_up
from twotime.recipe import parse_recipe
from twotime.weights import Models

RECIPE = parse_recipe({"rois": [{"unit": "pixel", "edges": [[30, 40], [45, 55]]}], "fit": {"ages": 2}})


DENOISED = parse_recipe({"kind": "frames", "frames": {"sum": 20}, "regions": [{"rows": [10, 20], "columns": [5, 25]}]})


@pytest.fixture(scope="module")
def models() -> Models:
    models = Models()
    warm_up(models.ensemble)
    return models


@pytest.fixture
def own(settings, tmp_path):
    """Settings of a service with a folder of its own."""
    return settings.model_copy(update={"var_dir": tmp_path, "results_path": "processed_live", "live_patience_s": 20.0})


@pytest.fixture
def results(root, own):
    return results_container(root, own)


@contextmanager
def following(settings, uid, models, recipe=RECIPE) -> Iterator[tuple[LiveSession, list[dict[str, Any]]]]:
    said: list[dict[str, Any]] = []
    session = LiveSession(settings, uid, recipe, models, said.append)
    thread = threading.Thread(target=session.run)
    thread.start()
    yield session, said
    thread.join(LONGEST_S)
    assert not thread.is_alive()


def test_scan_is_shown_while_it_grows_and_its_analysis_reads_no_frame(raw, own, results, detector_folder, models):
    grown = []
    writing = Writing(own, raw, detector_folder / "live")
    with writing, following(own, writing.uid, models) as (_, said):
        until(lambda: any(one.get("shown") for one in said))
        grown.append(live_scan(results, writing.uid).metadata)

    last = live_scan(results, writing.uid).metadata
    assert grown[0]["state"] == "running"
    assert 10 <= grown[0]["n_shown"] < 240
    assert (last["state"], last["n_frames"], last["message"]) == ("ended", 240, "The run has ended.")
    assert [row["roi"] for row in last["fits"]] == [1, 2]
    assert last["fits"][0]["relaxation_rate_error"] > 0
    cells = read_live_array(results, writing.uid, "two_time", 1)
    shown = -(-last["n_shown"] // last["frames_per_cell"])
    assert np.isfinite(cells[:shown, :shown]).all()
    assert np.isnan(cells[shown:]).all()

    run = find_run(raw, writing.uid)
    facts = run_facts(run, None)
    store = pixel_cache(own)
    assert store.find(plan(facts, RECIPE)) is not None
    source = TiledFrames(run, facts)
    kept = analyse(source, RECIPE, models.ensemble, no_progress, store=store)
    read = analyse(source, RECIPE, models.ensemble, no_progress)
    np.testing.assert_array_equal(kept.arrays["two_time"], read.arrays["two_time"])
    assert kept.tables["fits"].equals(read.tables["fits"])


def test_frames_are_denoised_one_after_the_other_while_they_come(raw, own, results, detector_folder, models):
    grown = []
    writing = Writing(own, raw, detector_folder / "live_frames")
    with writing, following(own, writing.uid, models, DENOISED) as (_, said):
        until(lambda: any(one.get("shown") for one in said))
        grown.append(live_scan(results, writing.uid).metadata)

    last = live_scan(results, writing.uid).metadata
    assert (grown[0]["kind"], grown[0]["state"]) == ("frames", "running")
    assert (last["state"], last["n_frames"], last["announced"]) == ("ended", 240, 240)
    newest = last["newest"]
    assert newest["frame"] == last["n_shown"] - 1 >= grown[0]["newest"]["frame"]
    first = newest["frame_number"]
    sums = FRAMES[first : first + newest["frames_summed"]].sum(axis=0)
    shown = read_live_array(results, writing.uid, "frame_raw")
    usable = np.isfinite(shown)
    np.testing.assert_array_equal(shown[usable], sums[usable])
    assert usable.mean() > 0.99
    assert np.isfinite(read_live_array(results, writing.uid, "frame_rate")).all()
    region = last["tables"]["regions"][-1]
    assert (region["frame"], region["counts"]) == (newest["frame"], sums[10:20, 5:25].sum())


def test_every_message_stays_below_the_limit_of_subscribers(results):
    sink = LiveSink(results, "many-rois", {})

    sink.write({"two_time": np.ones((23, 200, 200), np.float32)}, state="running")
    sink.write({"two_time": np.full((23, 200, 200), 2, np.float32)}, state="running")

    node = results["live"]["many-rois"]["two_time"]
    assert max(node.chunks[0]) * 200 * 200 * 4 <= MESSAGE_BYTES
    np.testing.assert_array_equal(read_live_array(results, "many-rois", "two_time"), 2)


def test_number_of_rois_may_change_while_a_scan_is_shown(results):
    sink = LiveSink(results, "rois-go", {})

    sink.write({"g2": np.ones((5, 7, 100), np.float32)})
    sink.write({"g2": np.zeros((4, 7, 100), np.float32)})

    assert read_live_array(results, "rois-go", "g2").shape == (4, 7, 100)


def test_oldest_live_scans_are_removed(results):
    for number in range(MOST_KEPT + 3):
        LiveSink(results, f"scan-{number}", {})

    there = [scan.uid for scan in live_scans(results)]

    assert len(there) == MOST_KEPT
    assert there[0] == f"scan-{MOST_KEPT + 2}"


def test_scan_without_a_name_is_not_found(results):
    with pytest.raises(NotFound, match="No scan 'nowhere' is followed live"):
        live_scan(results, "nowhere")


def test_burst_that_is_announced_at_its_end_is_handed_over_all_the_same(raw, own, detector_folder, models):
    writing = Writing(own, raw, detector_folder / "burst", shape_style="burst", frame_rate=120.0)
    with writing, following(own, writing.uid, models) as (_, said):
        pass

    assert (said[-1]["state"], said[-1]["n_frames"]) == ("ended", 240)
    facts = run_facts(find_run(raw, writing.uid), None)
    assert pixel_cache(own).find(plan(facts, RECIPE)) is not None


def test_aborted_scan_ends_with_its_status_and_keeps_nothing(raw, own, detector_folder, models):
    writing = Writing(own, raw, detector_folder / "abort", exit_status="abort", frame_rate=200.0)
    with writing, following(own, writing.uid, models) as (_, said):
        pass

    assert said[-1]["state"] == "failed"
    assert "ended with exit_status 'abort'" in said[-1]["message"]
    assert not (own.var_dir / "pixels").exists()


def test_scan_that_brings_no_more_frames_is_given_up_with_a_word(raw, own, detector_folder, models):
    impatient = own.model_copy(update={"live_patience_s": 1.0})
    writing = Writing(own, raw, detector_folder / "stuck", exit_status=None, frame_rate=None)
    with writing, following(impatient, writing.uid, models) as (_, said):
        pass

    assert said[-1]["state"] == "failed"
    assert "brought no frame for 1 s and has not ended" in said[-1]["message"]


def test_frames_come_over_http_where_files_are_out_of_reach(raw, own, detector_folder, models):
    far = own.model_copy(update={"read_in_place": False})
    writing = Writing(own, raw, detector_folder / "http")
    with writing, following(far, writing.uid, models) as (_, said):
        pass

    assert (said[-1]["state"], said[-1]["n_frames"]) == ("ended", 240)


def test_recipe_that_does_not_fit_is_said_and_ends_nothing_else(raw, own, detector_folder, models):
    recipe = parse_recipe({"rois": [{"unit": "pixel", "edges": [[3000, 4000]]}]})
    writing = Writing(own, raw, detector_folder / "misfit", frame_rate=100.0)
    with writing, following(own, writing.uid, models, recipe) as (_, said):
        pass

    assert said[-1]["state"] == "failed"
    assert "rois" in said[-1]["message"]


@pytest.mark.long
def test_killed_process_is_started_again_and_follows_on(raw, own, detector_folder):
    async def scenario(writing):
        said = []
        supervisor = LiveSupervisor(lambda: own, said.append)
        supervisor.follow(writing.uid, RECIPE)
        supervisor.start()
        async with asyncio.timeout(LONGEST_S):
            while not any(one["n_frames"] for one in said):
                await asyncio.sleep(0.05)
            first = supervisor.pid
            os.kill(first, signal.SIGKILL)
            while said[-1]["state"] != "ended":
                await asyncio.sleep(0.05)
            second = supervisor.pid
            await supervisor.wait_for_end(writing.uid, 10.0)
        left = supervisor.followed
        await supervisor.stop()
        return said, first != second, left

    with Writing(own, raw, detector_folder / "killed", frame_rate=10.0) as writing:
        said, another, left = asyncio.run(scenario(writing))

    assert another
    assert left == []
    assert said[-1]["n_frames"] == 240
