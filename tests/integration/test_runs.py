"""A run is found whatever one calls it, says where its numbers come from, and why it cannot be used."""

import time
import uuid

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run, list_runs, summarise
from twotime.errors import AmbiguousRun, RecipeError, RunNotFound, RunStillRunning, UnusableRun
from twotime.jobs.requests.eligibility import judge
from twotime.recipe import parse_recipe, resolve
from twotime.simulate import write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(10.25, 12.5, 5.0, 1.24, 55e-6, 0.01)
FRAMES = np.random.default_rng(3).integers(0, 9, (6, 20, 24), np.uint16)


def frames_run(raw, detector_folder, **options):
    return write_run(raw, FRAMES, GEOMETRY, detector_folder / "runs", **options)


def documents_run(raw, *, start=None, data_keys=None, configuration=None, data=None, stop=True):
    """A run of documents alone, one event if it has `data`."""
    writer = TiledWriter(raw, batch_size=1)
    start = start or {}
    run = compose_run(uid=start.pop("uid", None), metadata=start)
    writer("start", run.start_doc)
    if data_keys is not None:
        stream = run.compose_descriptor(name="primary", data_keys=data_keys, configuration=configuration or {})
        writer("descriptor", stream.descriptor_doc)
        if data:
            writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time())))
    if stop:
        writer("stop", run.compose_stop())
    return run.start_doc["uid"]


SCALAR = {"source": "test", "dtype": "number", "shape": []}


def image_key(*shape):
    return {"source": "test", "dtype": "array", "dtype_numpy": "<u2", "shape": [*shape], "external": "STREAM:"}


def uid_of(run):
    return run.metadata["start"]["uid"]


@pytest.fixture(scope="module")
def scan(raw, detector_folder):
    return frames_run(raw, detector_folder, scan_id=770, sample="latex")


def test_run_is_found_by_uid_partial_uid_scan_id_and_age(raw, detector_folder):
    older = frames_run(raw, detector_folder, scan_id=771)
    newer = frames_run(raw, detector_folder, scan_id=772)

    for reference in (newer, newer[:8], f" {newer[:13]} ", "772", 772, "-1", -1):
        assert uid_of(find_run(raw, reference)) == newer
    assert uid_of(find_run(raw, "-2")) == older


def test_newest_run_of_a_scan_id_that_was_counted_anew_wins(raw, detector_folder):
    frames_run(raw, detector_folder, scan_id=773)
    newest = frames_run(raw, detector_folder, scan_id=773)

    assert uid_of(find_run(raw, 773)) == newest


def test_beginning_of_a_uid_may_look_like_a_number(raw):
    uid = "4711" + str(uuid.uuid4())[4:8].translate(str.maketrans("abcdef", "123456")) + str(uuid.uuid4())[8:]
    documents_run(raw, start={"uid": uid})

    assert uid_of(find_run(raw, uid[:6])) == uid
    assert uid_of(find_run(raw, uid[:8])) == uid


def test_beginning_of_two_uids_names_both(raw):
    begin = uuid.uuid4().hex[:8]
    uids = [documents_run(raw, start={"uid": begin + str(uuid.uuid4())[8:]}) for _ in range(2)]

    with pytest.raises(AmbiguousRun, match="give more of it") as caught:
        find_run(raw, begin)

    assert all(uid in str(caught.value) for uid in uids)


@pytest.mark.parametrize(
    "reference",
    [
        "00000000-0000-0000-0000-000000000000",
        "00000000",
        "abc",
        "999999",
        "-99999",
        "--5",
        "-",
        "",
        "²",
        "a/b",
        "%",
        "..",
    ],
)
def test_run_that_is_not_there_is_said_with_what_to_ask(raw, reference):
    with pytest.raises(RunNotFound, match=r"uid|there are only"):
        find_run(raw, reference)


def test_newest_runs_are_listed_first_with_their_detectors(raw, scan, detector_folder):
    latest = frames_run(raw, detector_folder, scan_id=774, sample="silica", detector="eiger1m_single")
    silent = documents_run(raw, start={"scan_id": 775}, stop=False)

    listed = list_runs(raw, limit=2)

    assert [summary.uid for summary in listed] == [silent, latest]
    running, done = listed
    assert not running.finished
    assert (running.exit_status, running.detectors) == (None, ())
    assert (done.scan_id, done.sample, done.plan_name, done.exit_status) == (774, "silica", "count", "success")
    assert done.finished
    assert done.detectors == ("eiger1m_single_image",)
    assert scan in [summary.uid for summary in list_runs(raw, limit=1000)]
    assert list_runs(raw, since=time.time() + 60) == []


def test_facts_name_the_source_of_every_number(raw, scan):
    facts = run_facts(find_run(raw, scan))

    assert (facts.uid, facts.scan_id, facts.sample, facts.detector) == (scan, 770, "latex", "eiger4m_single_image")
    assert facts.shape == (6, 20, 24)
    assert {name: found.value for name, found in facts.geometry.items()} == {
        "beam_center_y": 20 - 10.25,  # as the detector counts; upright it is 10.25
        "beam_center_x": 12.5,
        "distance_m": 5.0,
        "wavelength_angstrom": 1.24,
        "pixel_size_m": 55e-6,
        "frame_time_s": 0.01,
    }
    assert resolve(parse_recipe(None), facts).geometry.beam_center_y == 10.25
    assert facts.geometry["distance_m"].source == "descriptor configuration eiger4m_single_det_distance"


def internal_frames(raw, detector="eiger4m_single", *, values=None, start=None, shape=(3, 5, 6)):
    """Frames inside the documents, with only the geometry that `values` give."""
    key = f"{detector}_image"
    data = {f"{detector}_{name}": value for name, value in (values or {}).items()}
    configuration = {
        detector: {
            "data": data,
            "timestamps": dict.fromkeys(data, 0.0),
            "data_keys": {name: {"source": "t", "dtype": "string", "shape": []} for name in data},
        }
    }
    array = {"source": "test", "dtype": "array", "dtype_numpy": "<i8", "shape": [*shape]}
    return documents_run(
        raw,
        start=start,
        data_keys={key: array},
        configuration=configuration,
        data={key: np.ones(shape, int).tolist()},
    )


def test_what_the_configuration_lacks_comes_from_the_start_document_or_the_kind_of_detector(raw):
    uid = internal_frames(
        raw,
        values={"det_distance": "16.03", "wavelength": [1.28]},
        start={"acquire period": "0.00134", "sample": {"name": "latex", "batch": 5}, "scan_id": 88},
    )

    facts = run_facts(find_run(raw, uid))

    assert facts.geometry["distance_m"].value == 16.03
    assert facts.geometry["wavelength_angstrom"].value == 1.28
    assert facts.geometry["frame_time_s"].value == 0.00134
    assert facts.geometry["frame_time_s"].source == "start document 'acquire period'"
    assert facts.geometry["pixel_size_m"].value == 75e-6
    assert "Eiger" in facts.geometry["pixel_size_m"].source
    assert "beam_center_y" not in facts.geometry
    assert (facts.sample, facts.scan_id) == ("latex", 88)
    with pytest.raises(RecipeError, match=r"geometry\.beam_center_y is missing.*eiger4m_single_image"):
        resolve(parse_recipe(None), facts)


def test_pixel_size_is_not_guessed_for_other_detectors(raw):
    uid = internal_frames(raw, "pilatus800")

    assert "pixel_size_m" not in run_facts(find_run(raw, uid)).geometry


def test_distance_in_millimetres_is_refused_with_its_source(raw):
    everything = {"beam_center_x": 1, "beam_center_y": 2, "wavelength": 1.2, "cam_acquire_period": 0.1}
    uid = internal_frames(raw, values=everything | {"det_distance": 16030.0})

    with pytest.raises(RecipeError, match=r"geometry\.distance_m.*16030.*eiger4m_single_det_distance"):
        resolve(parse_recipe(None), run_facts(find_run(raw, uid)))


def test_eiger_is_taken_before_a_larger_camera_and_names_match_without_case(raw):
    keys = {"OAV_image": (4, 50, 60), "eiger500K_single_image": (4, 5, 6)}
    uid = documents_run(
        raw,
        data_keys={
            name: {"source": "t", "dtype": "array", "dtype_numpy": "<i8", "shape": [*shape]}
            for name, shape in keys.items()
        },
        data={name: np.ones(shape, int).tolist() for name, shape in keys.items()},
    )
    run = find_run(raw, uid)

    assert run_facts(run).detector == "eiger500K_single_image"
    assert summarise(run).detectors == ("eiger500K_single_image", "OAV_image")
    for name in ("eiger500k_single", "EIGER500K_SINGLE_IMAGE"):
        assert run_facts(run, name).detector == "eiger500K_single_image"
    assert run_facts(run, "oav").shape == (4, 50, 60)
    with pytest.raises(RecipeError, match=r"'eiger4m'.*eiger500K_single_image, OAV_image"):
        run_facts(run, "eiger4m")


def test_run_without_area_detector_is_unusable(raw):
    uid = documents_run(raw, data_keys={"i0": SCALAR}, data={"i0": 1.0})

    with pytest.raises(UnusableRun, match=f"Run {uid[:8]} has no area detector"):
        run_facts(find_run(raw, uid))


def test_run_without_any_stream_is_unusable(raw):
    uid = documents_run(raw)

    with pytest.raises(UnusableRun, match="no area detector"):
        run_facts(find_run(raw, uid))


def test_run_whose_detector_never_delivered_is_unusable(raw):
    keys = {"i0": SCALAR, "eiger4m_single_image": image_key(1, 20, 24)}
    uid = documents_run(raw, data_keys=keys, data={"i0": 1.0})

    with pytest.raises(UnusableRun, match=f"Run {uid[:8]} .*no frames.*eiger4m_single_image"):
        run_facts(find_run(raw, uid))


def test_running_run_is_not_ready(raw, detector_folder):
    uid = frames_run(raw, detector_folder, exit_status=None)

    with pytest.raises(RunStillRunning, match=f"Run {uid[:8]} is still running"):
        run_facts(find_run(raw, uid))


def test_failed_run_needs_consent(raw, detector_folder):
    uid = frames_run(raw, detector_folder, exit_status="abort")

    with pytest.raises(UnusableRun, match=r"'abort' \(simulated failure\).*frames\.accept_failed_run"):
        run_facts(find_run(raw, uid))
    assert run_facts(find_run(raw, uid), accept_failed=True).shape == (6, 20, 24)


def test_run_with_odd_documents_is_listed_and_refused_in_a_sentence(raw):
    odd = {"motors": 3, "detectors": 5, "plan_name": 7, "sample": {"name": 5}, "acquire period": "soon"}
    data_keys = {"eiger4m_single_image": image_key(1, 4, 5), "x": SCALAR}
    cam = {"data": {"eiger4m_single_cam_num_images": "many"}, "timestamps": {}, "data_keys": {}}
    uid = documents_run(raw, start=odd, data_keys=data_keys, configuration={"eiger4m_single": cam})

    (listed,) = [one for one in list_runs(raw) if one.uid == uid]

    assert (listed.plan_name, listed.sample) == ("7", "5")
    assert "it moved 3 while counting" in judge(listed.start, listed.stop, listed.detectors).reason
    with pytest.raises(UnusableRun, match="holds no frames of eiger4m_single_image, which it announces"):
        run_facts(find_run(raw, uid))
