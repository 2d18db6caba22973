"""Exported files hold what was published, where other tools look for it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cnn_ed import Ensemble
from twotime.errors import RecipeError
from twotime.export.files import write_file
from twotime.files import NumpyStack
from twotime.pipeline import analyse
from twotime.recipe import parse_recipe
from twotime.results import Analysis
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry

GEOMETRY = Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01)
VIEWER = (
    "/xpcs/qmap/mask",
    "/xpcs/qmap/dynamic_roi_map",
    "/xpcs/qmap/static_roi_map",
    "/xpcs/qmap/dynamic_v_list_dim0",
    "/xpcs/qmap/static_v_list_dim0",
    "/xpcs/qmap/dynamic_v_list_dim1",
    "/xpcs/qmap/static_v_list_dim1",
    "/xpcs/qmap/beam_center_y",
    "/xpcs/qmap/beam_center_x",
    "/xpcs/qmap/detector_distance",
    "/xpcs/qmap/pixel_size",
    "/xpcs/qmap/static_index_mapping",
    "/xpcs/qmap/dynamic_index_mapping",
    "/xpcs/qmap/static_num_pts",
    "/xpcs/qmap/dynamic_num_pts",
    "/xpcs/qmap/map_names",
    "/xpcs/qmap/map_units",
    "/xpcs/spatial_mean/intensity_vs_time",
    "/xpcs/multitau/delay_list",
    "/xpcs/multitau/normalized_g2",
    "/xpcs/multitau/normalized_g2_err",
    "/xpcs/multitau/config/stride_frame",
    "/xpcs/multitau/config/avg_frame",
    "/xpcs/temporal_mean/scattering_2d",
    "/xpcs/temporal_mean/scattering_1d",
    "/xpcs/temporal_mean/scattering_1d_segments",
    "/xpcs/twotime/correlation_map/c2_00001",
    "/xpcs/twotime/normalized_g2",
    "/xpcs/twotime/delay_list",
    "/xpcs/twotime/processed_bins",
    "/entry/instrument/detector_1/frame_time",
    "/entry/instrument/detector_1/count_time",
    "/entry/instrument/incident_beam/incident_energy",
)
"""What pyXpcsViewer opens of a file, by its own table of keys."""
REQUIRED = (
    "/entry/definition",
    "/entry/data",
    "/entry/instrument/incident_beam/incident_energy",
    "/entry/instrument/detector_1/count_time",
    "/entry/instrument/detector_1/frame_time",
    "/entry/instrument/detector_1/beam_center_x",
    "/entry/instrument/detector_1/beam_center_y",
    "/entry/instrument/masks/dynamic_roi_map",
)
"""What the definition NXxpcs demands."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    model = SpeckleModel((40, 40), GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=2.0, seed=4)
    path = tmp_path_factory.mktemp("frames") / "frames.npy"
    np.save(path, simulate_frames(model, 70))
    geometry = {name: getattr(GEOMETRY, name) for name in GEOMETRY.__dataclass_fields__}
    recipe = parse_recipe(
        {"geometry": geometry, "rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}], "fit": {"ages": 2}}
    )
    return analyse(NumpyStack(path), recipe, Ensemble.load())


@pytest.fixture(scope="module")
def nexus(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nexus") / "result.nxs"
    write_file(path, analysis)
    return path


def test_nexus_holds_what_the_definition_and_the_viewer_demand(nexus: Path) -> None:
    with h5py.File(nexus) as file:
        assert [place for place in (*REQUIRED, *VIEWER) if place not in file] == []
        assert file["entry/definition"][()] == b"NXxpcs"
        assert file["entry"].attrs["NX_class"] == "NXentry"
        center = file["entry/instrument/detector_1/beam_center_y"]
        assert (center[()], center.attrs["units"]) == (pytest.approx(-30 * 75e-6), "m")
        assert file["entry/instrument/incident_beam/incident_energy"][()] == pytest.approx(9.9987, rel=1e-4)
        assert file["xpcs/multitau/normalized_g2"] == file["entry/data/g2"]


def test_nexus_holds_the_numbers_that_were_published(nexus: Path, analysis: Analysis) -> None:
    with h5py.File(nexus) as file:
        c2 = file["entry/twotime/two_time_corr_func"]
        assert (c2.attrs["storage_mode"], c2.attrs["baseline_reference"]) == ("one_array_q_last", 1)
        for roi in (0, 1):
            np.testing.assert_array_equal(c2[:, :, roi], analysis.arrays["two_time"][roi])
            np.testing.assert_array_equal(
                file[f"xpcs/twotime/correlation_map/c2_{roi + 1:05d}"][()], analysis.arrays["two_time"][roi]
            )
        np.testing.assert_array_equal(
            file["entry/denoised/two_time_corr_func"][:, :, 1], analysis.arrays["two_time_denoised"][1]
        )
        table = analysis.tables["g2_multitau"]
        own = table[table["roi"] == 2]
        np.testing.assert_array_equal(file["entry/data/g2"][:, 1], own["g2"])
        np.testing.assert_array_equal(file["entry/data/delay_difference"], own["lag_frames"])
        fits = file["entry/tables/fits"]
        np.testing.assert_array_equal(fits["relaxation_rate"], analysis.tables["fits"]["relaxation_rate"])
        assert [text.decode() for text in fits["headline"]] == analysis.tables["fits"]["headline"].tolist()


def test_plain_file_has_one_dataset_for_each_node(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "result.h5", analysis)

    with h5py.File(tmp_path / "result.h5") as file:
        assert set(file) == set(analysis.arrays) | set(analysis.tables)
        for name, array in analysis.arrays.items():
            np.testing.assert_array_equal(file[name][()], array)
            assert file[name].attrs["description"]
        np.testing.assert_array_equal(file["fits/alpha"], analysis.tables["fits"]["alpha"])


def test_unknown_ending_is_refused_before_anything_is_written(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"has no known ending; \.nxs gives NeXus"):
        write_file(tmp_path / "result.mat", analysis)
    assert list(tmp_path.iterdir()) == []
