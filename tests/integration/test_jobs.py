"""The service at work, with real processes: nothing is lost, nothing is done twice, everything is said."""

import json
import os
import signal
import subprocess
import sys
import uuid

import pytest
from pydantic import AnyHttpUrl, SecretStr
from tests.bursts import GEOMETRY, computing, ended, write_burst
from tests.processes import alive, family
from tests.waiting import until

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import RUNS_SPEC, opened_root
from twotime.errors import QueueFull, RecipeError, RunNotFound, TiledUnavailable
from twotime.jobs import Service

QUICK = {
    "geometry": GEOMETRY,
    "rois": [{"unit": "pixel", "inner_radius": 6, "width": 8, "num_rings": 2}],
    "denoise": {"enabled": False},
    "fit": {"ages": 0},
}
SLOW = {**QUICK, "rois": [{"unit": "pixel", "inner_radius": 4, "width": 4, "num_rings": 8}], "fit": {"ages": 8}}

SERVE = """
import asyncio, json, sys
from twotime.jobs import Service
from twotime.settings import load_settings

async def serve(uid, recipe):
    service = Service(load_settings())
    await service.start()
    while not service.health().ready:
        await asyncio.sleep(0.1)
    await service.unrestricted.submit(uid, recipe)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], json.loads(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def site(settings, tmp_path_factory):
    """Settings of a service that shares Tiled with other tests but not the results."""
    recipe = tmp_path_factory.mktemp("site") / "recipe.yml"
    recipe.write_text(str(QUICK))
    return settings.model_copy(
        update={
            "results_path": f"jobs-{uuid.uuid4().hex[:6]}",
            "recipe_file": recipe,
            "automatic": False,
            "threads_per_worker": 1,
        }
    )


@pytest.fixture(scope="module")
def service(site, call):
    service = Service(site)
    call(service.start())
    until(lambda: service.health().ready)
    yield service
    call(service.stop())


def test_request_is_computed_published_and_found_again(service, call, raw, detector_folder):
    uid = write_burst(raw, detector_folder, scan_id=4711, sample="silica")
    record = call(service.unrestricted.submit(uid, QUICK))
    assert record.status == "queued"
    record = ended(service, call, record.id)
    assert (record.attempt, record.scan_id, record.sample) == (1, 4711, "silica")
    assert len(call(service.unrestricted.read_table(record.id, "fits"))) == 2
    assert call(service.unrestricted.read_array(record.id, "two_time", roi=1)).shape == (60, 60)
    again = call(service.unrestricted.submit(uid, QUICK))
    assert (again.id, again.status, again.attempt) == (record.id, "done", 1)
    assert call(service.unrestricted.plan(uid, QUICK))["analysis_id"] == record.id
    forced = call(service.unrestricted.submit(uid, QUICK, force=True))
    assert (forced.id, forced.status) == (record.id, "queued")
    assert ended(service, call, record.id).attempt == 2


@pytest.mark.long
def test_worker_killed_midway_is_replaced_and_the_analysis_done(service, call, raw, detector_folder):
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, n_frames=700), SLOW))
    computing(service, call, record.id)
    os.kill(service.worker_pids[0], signal.SIGKILL)
    assert ended(service, call, record.id).attempt == 2


def test_running_analysis_stops_when_it_is_cancelled(service, call, raw, detector_folder):
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, n_frames=701), SLOW))
    computing(service, call, record.id)
    call(service.unrestricted.cancel(record.id))
    assert "on request" in ended(service, call, record.id, "cancelled").error
    with pytest.raises(KeyError):
        raw.parent[service.settings.results_path][record.id]["final"]


def test_waiting_analysis_is_cancelled_at_once(service, call, raw, detector_folder):
    first = call(service.unrestricted.submit(write_burst(raw, detector_folder, n_frames=702), SLOW))
    second = call(service.unrestricted.submit(write_burst(raw, detector_folder), QUICK))
    assert call(service.unrestricted.cancel(second.id)).status == "cancelled"
    call(service.unrestricted.cancel(first.id))
    ended(service, call, first.id, "cancelled")
    assert call(service.unrestricted.analysis(second.id)).attempt == 1


def test_full_queue_takes_nothing_more_but_finds_what_waits(site, call, raw, detector_folder):
    path = f"jobs-{uuid.uuid4().hex[:6]}"
    service = Service(site.model_copy(update={"results_path": path, "most_queued": 1}))
    call(service.start())
    try:
        until(lambda: service.health().ready)
        first = call(service.unrestricted.submit(write_burst(raw, detector_folder, n_frames=704), SLOW))
        computing(service, call, first.id)
        waiting, refused = write_burst(raw, detector_folder), write_burst(raw, detector_folder)
        second = call(service.unrestricted.submit(waiting, QUICK))
        with pytest.raises(QueueFull, match="1 analyses wait already"):
            call(service.unrestricted.submit(refused, QUICK))
        assert call(service.unrestricted.submit(waiting, QUICK)).id == second.id
        assert call(service.unrestricted.analyses(raw_uid=refused)) == ([], 0)
        call(service.unrestricted.cancel(second.id))
        assert call(service.unrestricted.submit(refused, QUICK)).status == "queued"
    finally:
        call(service.stop())


def test_bad_requests_write_nothing(service, call, raw, detector_folder):
    uid = write_burst(raw, detector_folder)
    with pytest.raises(RecipeError, match="is not a field of the recipe"):
        call(service.unrestricted.submit(uid, {"rings": 3}))
    with pytest.raises(RecipeError, match="rois"):
        call(service.unrestricted.submit(uid, {**QUICK, "rois": [{"unit": "pixel", "edges": [[5000, 5001]]}]}))
    with pytest.raises(RunNotFound):
        call(service.unrestricted.submit(str(uuid.uuid4()), QUICK))
    assert call(service.unrestricted.analyses(raw_uid=uid)) == ([], 0)


def test_frames_without_counts_fail_with_a_sentence(service, call, raw, detector_folder):
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, mean=0.0), QUICK))
    record = ended(service, call, record.id, "failed")
    assert record.error
    assert "Unexpected" not in record.error


def test_events_tell_the_course_of_an_analysis(service, call, raw, detector_folder):
    listener = service.events()
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder), QUICK))
    ended(service, call, record.id)

    async def heard():
        told = []
        while not told or told[-1] != "done":
            event = await anext(listener)
            if event.get("id") == record.id:
                told.append(event["status"])
        return told

    told = call(heard())
    assert sorted(set(told), key=told.index) == ["queued", "running", "done"]


def test_two_services_compute_an_analysis_once(service, site, call, raw, detector_folder):
    other = Service(site)
    call(other.start())
    try:
        until(lambda: other.health().ready)
        for _ in range(2):
            uid = write_burst(raw, detector_folder)
            first, second = (call(one.unrestricted.submit(uid, QUICK)) for one in (service, other))
            assert first.id == second.id
            assert ended(service, call, first.id).attempt == 1
    finally:
        call(other.stop())


@pytest.mark.long
def test_service_killed_midway_takes_its_worker_along_and_the_next_one_goes_on(
    site, call, raw, results, detector_folder, tmp_path
):
    alone = site.model_copy(update={"results_path": f"jobs-{uuid.uuid4().hex[:6]}", "recipe_file": None})
    uid = write_burst(raw, detector_folder, n_frames=703)
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    killed = subprocess.Popen([sys.executable, str(script), uid, json.dumps(SLOW)], env=environment(alone))
    try:
        store = until(lambda: opened(results.parent, alone.results_path))
        running = until(lambda: [one for one in store.search(status="running")[0] if one.stage != "starting"])
        workers = family(killed.pid)[1:]
    finally:
        killed.kill()
        killed.wait()
    assert workers
    until(lambda: not any(alive(pid) for pid in workers), longest_s=60)
    service = Service(alone)
    call(service.start())
    try:
        until(lambda: service.health().ready)
        assert ended(service, call, running[0].id).attempt == 2
    finally:
        call(service.stop())


def test_service_that_stops_in_order_hands_its_work_back(site, call, raw, detector_folder):
    alone = site.model_copy(update={"results_path": f"jobs-{uuid.uuid4().hex[:6]}"})
    uid = write_burst(raw, detector_folder, n_frames=704)
    first = Service(alone)
    call(first.start())
    until(lambda: first.health().ready)
    record = call(first.unrestricted.submit(uid, SLOW))
    computing(first, call, record.id)
    workers = first.worker_pids
    call(first.stop())
    assert not any(alive(pid) for pid in workers)
    second = Service(alone)
    call(second.start())
    try:
        until(lambda: second.health().ready)
        record = ended(second, call, record.id)
        assert (record.attempt, record.first_attempt) == (2, 2)
    finally:
        call(second.stop())


def test_finished_runs_are_taken_by_themselves_and_skipped_with_a_reason(site, call, root, detector_folder):
    path = f"raw-{uuid.uuid4().hex[:6]}"
    root.create_container(path, specs=[RUNS_SPEC])
    before = write_burst(root[path], detector_folder)
    failed = write_burst(root[path], detector_folder, exit_status="abort")
    unmarked = write_burst(root[path], detector_folder, XPCS_data=False)
    alone = site.model_copy(
        update={"raw_path": path, "results_path": f"jobs-{uuid.uuid4().hex[:6]}", "automatic": True, "reconcile_s": 2}
    )
    service = Service(alone)
    call(service.start())
    try:
        until(lambda: service.health().watcher == "watching")
        while_it_runs = write_burst(root[path], detector_folder)
        for uid in (before, while_it_runs):
            record = until(lambda uid=uid: call(service.unrestricted.analyses(raw_uid=uid))[0])[0]
            assert record.automatic
            assert ended(service, call, record.id).recipe["denoise"]["enabled"] is False
        listed = {one.uid: one for one in call(service.unrestricted.runs())}
        assert (listed[before].automatic, listed[while_it_runs].automatic) == ("taken", "taken")
        assert len(listed[before].analyses) == 1
        assert "abort" in listed[failed].reason
        assert "XPCS_data" in listed[unmarked].reason
        assert call(service.unrestricted.analyses(status="done"))[1] == 2
    finally:
        call(service.stop())


def test_rules_of_the_site_choose_recipes_and_leave_runs_alone(site, call, root, detector_folder, tmp_path):
    (tmp_path / "few.json").write_text(json.dumps({**QUICK, "min_pixels": 11}))
    (tmp_path / "rules.yml").write_text(
        "rules:\n"
        "  - {name: calibration, where: {sample: AgBeh*}, skip: it has no dynamics}\n"
        "  - {name: gels, where: {sample: '*gel*', detectors: eiger4m*}, recipe: few.json}\n"
    )
    path = f"raw-{uuid.uuid4().hex[:6]}"
    root.create_container(path, specs=[RUNS_SPEC])
    powder = write_burst(root[path], detector_folder, sample="AgBeh gel")
    gel = write_burst(root[path], detector_folder, sample="silica gel")
    other = write_burst(root[path], detector_folder, sample="latex")
    changes = {"raw_path": path, "results_path": f"jobs-{uuid.uuid4().hex[:6]}", "automatic": True, "reconcile_s": 2}
    service = Service(site.model_copy(update={**changes, "rules_file": tmp_path / "rules.yml"}))
    call(service.start())
    try:
        until(lambda: service.health().ready)
        until(lambda: call(service.unrestricted.analyses(status="done"))[1] == 2)
        found = {uid: call(service.unrestricted.analyses(raw_uid=uid))[0] for uid in (powder, gel, other)}
        listed = {one.uid: one.reason for one in call(service.unrestricted.runs())}
        assert found[powder] == []
        assert listed[powder] == "by the rule 'calibration': it has no dynamics"
        assert found[gel][0].recipe["min_pixels"] == 11
        assert listed[gel].endswith("by the rule 'gels'")
        assert found[other][0].recipe["min_pixels"] == 10
    finally:
        call(service.stop())


@pytest.mark.long
def test_service_outlives_tiled_and_says_so_meanwhile(site, call, tmp_path):
    tiled = EmbeddedTiled(tmp_path)
    tiled.start()
    alone = site.model_copy(
        update={
            "tiled_uri": AnyHttpUrl(tiled.uri),
            "tiled_api_key": SecretStr(tiled.api_key),
            "results_path": "processed",
        }
    )
    service = Service(alone)
    try:
        call(service.start())
        until(lambda: service.health().ready)
        with opened_root(alone) as root:
            uid = write_burst(root["raw"], tmp_path / "detector", n_frames=705)
        record = call(service.unrestricted.submit(uid, SLOW))
        computing(service, call, record.id)
        os.kill(tiled.pid, signal.SIGKILL)
        until(lambda: not service.health().ready)
        assert "does not answer" in service.health().tiled
        until(lambda: service.health().ready)
        assert ended(service, call, record.id, patience_s=240).attempt == 1
    finally:
        call(service.stop())
        tiled.stop()


def test_service_that_starts_before_tiled_waits_for_it(site, call):
    nowhere = site.model_copy(update={"tiled_uri": AnyHttpUrl("http://127.0.0.1:9/api/v1")})
    service = Service(nowhere)
    call(service.start())
    try:
        until(lambda: "does not answer" in service.health().tiled)
        assert not service.health().ready
        with pytest.raises(TiledUnavailable, match="does not answer"):
            call(service.unrestricted.analysis("nothing"))
    finally:
        call(service.stop())


def environment(site):
    """The settings as a process of its own reads them."""
    return {
        **os.environ,
        "TWOTIME_TILED_URI": str(site.tiled_uri),
        "TWOTIME_TILED_API_KEY": site.tiled_api_key.get_secret_value(),
        "TWOTIME_RAW_PATH": site.raw_path,
        "TWOTIME_RESULTS_PATH": site.results_path,
        "TWOTIME_VAR_DIR": str(site.var_dir),
        "TWOTIME_AUTOMATIC": "false",
        "TWOTIME_THREADS_PER_WORKER": "1",
    }


def opened(root, path):
    return AnalysisStore(root[path]) if path in root else None
