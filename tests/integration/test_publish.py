"""What a reader finds who knows only Tiled, and what a kill in between leaves behind."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import zarr
from tests.asking import request, run_facts
from tiled.client import from_uri

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink, run_uid
from twotime.catalog.results.read import read_array, read_table
from twotime.errors import Cancelled, InputError, NotFound, NotReady
from twotime.results import Analysis, nodes_of
from twotime.xpcs.compact import upper

N_ROI, N = 2, 60


def symmetric(values):
    return (np.triu(values) + np.triu(values, 1).swapaxes(1, 2)).astype(np.float32)


def small_analysis(seed=1, n=N):
    rng = np.random.default_rng(seed)
    two_time = symmetric(rng.normal(1.1, 0.1, (N_ROI, n, n)))
    spread = symmetric(rng.uniform(1e-3, 2e-3, (N_ROI, n, n)))
    denoised = symmetric(rng.normal(1.1, 0.01, (N_ROI, n, n)))
    for array in (two_time, spread, denoised):
        array[:, 5], array[:, :, 5] = np.nan, np.nan
    fits = pd.DataFrame(
        {
            "roi": [1, 2],
            "q": [0.01, 0.02],
            "headline": ["estimate", "raw"],
            "relaxation_rate": [1.5, np.nan],
            "relaxation_rate_error": [0.1, np.nan],
            "trusted": [True, False],
            "flag": ["", "decay is incomplete within the measured lags"],
            "raw_covariance_relaxation_rate_beta": [1e-4, np.nan],
        }
    )
    return Analysis(
        arrays={
            "two_time": two_time,
            "two_time_denoised": denoised,
            "two_time_spread": spread,
            "denoised_mask": rng.random((N_ROI, n, n)) > 0.5,
            "denoised_scale": rng.random((N_ROI, n)).astype(np.float32),
            "preview": rng.integers(0, 255, (N_ROI, n, n), np.uint8),
            "mean_frame": rng.random((64, 64)),
            "roi_labels": rng.integers(0, 3, (64, 64), np.int32),
            "intensity": rng.random((n, N_ROI)),
            "frame_number": np.arange(n),
            "bad_frames": np.arange(n) == 5,
        },
        tables={
            "fits": fits,
            "g2": pd.DataFrame(
                {"roi": [1, 1, 2], "lag_frames": [1, 2, 1], "g2_raw": [1.2, np.nan, 1.1], "g2_raw_error": [0.01] * 3}
            ),
            "fits_age": fits.iloc[:0],
            "q_fit": pd.DataFrame(),
        },
        resolved={
            "rois": [{"roi": r, "q": 0.01 * r, "n_pixels": 10} for r in (1, 2)],
            "frame_time_s": 0.01,
            "n_frames": n,
            "recipe": {},
            "sources": {},
        },
        warnings=["3 of 100 ROI pixels were masked."],
        timings_s={"reading": 0.5},
        versions={"twotime": "0.1.0", "ensemble": "2026-01"},
    )


@pytest.fixture
def store(results):
    return AnalysisStore(results)


@pytest.fixture
def claimed(store):
    record = request(store, run_facts(shape=(N, 64, 64), scan_id=12, sample="silica"))
    return store.claim(record.id, "this test", 0)


@pytest.fixture(scope="module")
def published(results):
    store = AnalysisStore(results)
    record = store.claim(request(store, run_facts(shape=(N, 64, 64))).id, "this test", 0)
    TiledSink(store, record).publish(small_analysis())
    return record


def test_reader_who_knows_only_tiled_finds_everything(store, claimed, settings):
    analysis = small_analysis(n=1203)
    TiledSink(store, claimed).publish(analysis)
    client = from_uri(str(settings.tiled_uri), api_key=settings.tiled_api_key.get_secret_value())
    with client.context:
        node = client[settings.results_path][claimed.id]
        assert node.metadata["status"] == "done"
        assert set(node["final"]) == {*analysis.arrays, "fits", "g2", "fits_age"}
        two_time = node["final/two_time"]
        assert two_time.chunks == ((1, 1), (1000, 203), (1000, 203))
        assert two_time.dims == ("roi", "frame_1", "frame_2")
        metadata = two_time.metadata
        whole = eval(metadata["storage"]["whole"], {"numpy": np, "values": two_time.read()})
        noise = np.array(metadata["storage"]["noise"])[:, None, None]
        assert_same_but_for(whole, analysis.arrays["two_time"], 0.02 * noise)
        assert np.array_equal(np.unique(whole[0, :5, 6:] % metadata["storage"]["step"][0]), [0])
        spread = node["final/two_time_spread"].read()
        assert_same_but_for(upper(analysis.arrays["two_time_spread"]), spread, spread / 16)
        denoised = node["final/two_time_denoised"].read()
        assert_same_but_for(upper(analysis.arrays["two_time_denoised"]), denoised, 0.02 * spread)
        assert metadata["axes"] == ["roi", "frame_1", "frame_2"]
        assert metadata["unit"] == "1"
        assert "Eq. 1" in metadata["equation"]
        assert metadata["q"] == [0.01, 0.02]
        assert metadata["frame_time_s"] == 0.01
        fits = node["final/fits"].read()
        fits_metadata = node["final/fits"].metadata
    assert isinstance(fits, pd.DataFrame)
    pd.testing.assert_frame_equal(fits, analysis.tables["fits"], check_dtype=False)
    assert fits["trusted"].dtype == bool
    columns = fits_metadata["columns"]
    assert set(columns) == set(analysis.tables["fits"].columns)
    assert columns["relaxation_rate"]["unit"] == "1/s"


def assert_same_but_for(found, expected, largest_error):
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert (np.nan_to_num(np.abs(found - expected) / largest_error) <= 1).all()


def test_every_array_comes_back_as_it_was_written_but_for_rounding_within_its_error(store, claimed):
    analysis = small_analysis()
    TiledSink(store, claimed).publish(analysis)
    spread = analysis.arrays["two_time_spread"]
    errors = {"two_time": 0.02 * 0.1, "two_time_denoised": 0.02 * spread, "two_time_spread": spread / 16}
    for name, array in analysis.arrays.items():
        found = read_array(store, claimed.id, name)
        assert found.dtype == array.dtype
        if name in errors:
            assert_same_but_for(found, array, errors[name])
        else:
            assert np.array_equal(found, array)
    assert np.array_equal(read_array(store, claimed.id, "intensity", roi=2), analysis.arrays["intensity"][:, 1])
    assert np.array_equal(read_array(store, claimed.id, "preview", roi=1), analysis.arrays["preview"][0])
    assert len(read_table(store, claimed.id, "fits_age")) == 0


@pytest.mark.parametrize(
    "window",
    [
        (slice(None), slice(None)),
        (slice(0, 20), slice(30, 60)),
        (slice(30, 60), slice(0, 20)),
        (slice(10, 40), slice(20, 60)),
        (slice(20, 60, 7), slice(0, 50, 3)),
        (slice(None, None, 4), slice(None, None, 4)),
        (slice(0, 900), slice(59, 60)),
        (slice(50, 50), slice(0, 3)),
        (slice(3, 4),),
        (),
    ],
)
def test_every_window_of_a_two_time_function_is_that_of_the_whole(store, published, window):
    for name in ("two_time", "two_time_denoised", "two_time_spread"):
        whole = read_array(store, published.id, name, roi=2)
        assert np.array_equal(whole, whole.T, equal_nan=True)
        assert np.array_equal(read_array(store, published.id, name, 2, window), whole[window], equal_nan=True)


def test_outside_the_mask_denoised_values_are_those_measured(store, claimed):
    analysis = small_analysis()
    outside = ~analysis.arrays["denoised_mask"] & ~analysis.arrays["denoised_mask"].swapaxes(1, 2)
    analysis.arrays["two_time_spread"][outside] = np.nan
    analysis.arrays["two_time_denoised"][outside] = analysis.arrays["two_time"][outside]
    TiledSink(store, claimed).publish(analysis)
    raw, denoised = (read_array(store, claimed.id, name)[outside] for name in ("two_time", "two_time_denoised"))
    assert np.array_equal(raw, denoised, equal_nan=True)


def test_nothing_counts_before_the_status_does(store, claimed):
    seen = []

    def look(_stage, _fraction):
        seen.append(store.get(claimed.id).status)
        with pytest.raises(NotReady, match="is running"):
            read_table(store, claimed.id, "fits")

    TiledSink(store, claimed, look).publish(small_analysis())
    assert set(seen) == {"running"}
    assert store.get(claimed.id).status == "done"


def test_attempt_after_a_killed_one_leaves_no_trace_of_it(store, claimed):
    def dies(_stage, fraction):
        if fraction > 0.4:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        TiledSink(store, claimed, dies).publish(small_analysis(seed=1))
    second = store.claim(claimed.id, "next", 1)
    TiledSink(store, second).publish(small_analysis(seed=2))
    assert_same_but_for(read_array(store, claimed.id, "two_time"), small_analysis(seed=2).arrays["two_time"], 0.002)
    assert store.get(claimed.id).attempt == 2


def test_headline_numbers_are_one_bluesky_run_however_often_they_are_published(store, claimed, results):
    TiledSink(store, claimed).publish(small_analysis())
    TiledSink(store, claimed).publish(small_analysis())
    runs = results["runs"]
    assert [key for key in runs if key == run_uid(claimed.id)] == [run_uid(claimed.id)]
    run = runs[run_uid(claimed.id)]
    assert run.metadata["start"]["raw_uid"] == claimed.raw_uid
    assert run.metadata["start"]["analysis_id"] == claimed.id
    assert run.metadata["stop"]["exit_status"] == "success"
    data = run["primary"].read()
    assert data["relaxation_rate"].values[0] == 1.5
    assert np.isnan(data["relaxation_rate"].values[1])
    assert list(data["trusted"].values) == [True, False]
    assert run["primary"].metadata["data_keys"]["relaxation_rate"]["units"] == "1/s"


def test_headline_numbers_stand_there_once_when_analyses_are_published_at_once(store, results):
    records = [store.claim(request(store, run_facts(shape=(N, 64, 64))).id, "this test", 0) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda record: TiledSink(store, record).publish(small_analysis()), records))
    for record in records:
        assert list(results["runs"][run_uid(record.id)]["primary"].read()["roi"].values) == [1, 2]


def test_container_of_runs_is_no_analysis(store, claimed, results):
    TiledSink(store, claimed).publish(small_analysis())
    assert "runs" in list(results)
    assert "runs" not in [record.id for record in store.search(limit=1000)[0]]


def test_window_of_an_array_is_read_alone(store, claimed):
    analysis = small_analysis(n=1203)
    TiledSink(store, claimed).publish(analysis)
    window = (slice(990, 1010), slice(3, 1203, 100))

    part = read_array(store, claimed.id, "two_time", 2, window)

    assert_same_but_for(part, analysis.arrays["two_time"][(1, *window)], 0.002)


def test_array_that_a_killed_tiled_left_half_made_is_no_end(store, claimed, settings, tiled_server):
    place = tiled_server.folder / "data" / settings.results_path / claimed.id / "final" / "two_time"
    zarr.create_array(store=str(place), shape=(N_ROI, N, N), chunks=(1, N, N), dtype="float32")
    analysis = small_analysis()

    for _ in range(2):
        TiledSink(store, claimed).publish(analysis)

        assert store.get(claimed.id).final == "final_2"
        assert [key for key in store.node(claimed.id) if key.startswith("final")] == ["final_2"]
        found = read_array(store, claimed.id, "two_time")
        assert_same_but_for(found, analysis.arrays["two_time"], 0.002)


def test_reading_what_is_not_there_says_what_is(store, claimed):
    with pytest.raises(NotReady, match="is running; its results come when it is done"):
        read_array(store, claimed.id, "two_time")
    TiledSink(store, claimed).publish(small_analysis())
    with pytest.raises(InputError, match="has the ROIs 1 to 2"):
        read_array(store, claimed.id, "two_time", roi=3)
    with pytest.raises(InputError, match="no axis of ROIs"):
        read_array(store, claimed.id, "mean_frame", roi=1)
    with pytest.raises(NotFound, match="holds no array mask; it holds two_time, two_time_denoised"):
        read_array(store, claimed.id, "mask")
    with pytest.raises(NotFound, match="there are g2, g2_multitau, fits, fits_age, fits_variant, q_fit"):
        read_table(store, claimed.id, "two_time")


def test_reason_of_a_failure_is_told_to_whoever_asks_for_results(store, claimed):
    store.failed(claimed, "The frames hold no counts; open the shutter.")
    with pytest.raises(NotReady, match="is failed: The frames hold no counts; open the shutter"):
        read_table(store, claimed.id, "fits")


def test_every_node_of_the_table_can_be_published(store, claimed):
    arrays = {node.name: np.zeros((2,) * len(node.axes), np.float32) for node in nodes_of("xpcs") if not node.is_table}
    tables = {node.name: pd.DataFrame({"roi": [1]}) for node in nodes_of("xpcs") if node.is_table}
    known = small_analysis().tables  # The verdict reads the columns of these.
    tables |= {name: known[name] for name in ("fits", "g2", "fits_age")}
    TiledSink(store, claimed).publish(Analysis(arrays, tables, {"rois": [], "frame_time_s": 1.0}))
    for name in arrays:
        assert read_array(store, claimed.id, name).shape == arrays[name].shape
    for name in tables:
        assert len(read_table(store, claimed.id, name)) == len(tables[name])
