"""Masks of the beamline's registry, and what the detector's own files say, on a real Tiled server."""

import numpy as np
import pytest
from tiled.client.container import Container

from cnn_ed import Ensemble
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.errors import RecipeError
from twotime.pipeline import analyse, plan
from twotime.recipe import Recipe, parse_recipe, resolve
from twotime.simulate import SpeckleModel, simulate_frames, write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(30.0, 10.0, 5.0, 1.24, 75e-6, 0.01)
SHAPE = (48, 40)
RECIPE = {"rois": [{"unit": "pixel", "edges": [[10, 20]]}], "fit": {"ages": 0}, "denoise": {"enabled": False}}


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    model = SpeckleModel(SHAPE, GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=1.0, seed=1)
    return simulate_frames(model, 60)


@pytest.fixture(scope="module")
def registry(root: Container) -> Container:
    """Masks as the workflows of the beamline keep them: boolean arrays, False where a pixel is masked."""
    sandbox = root.create_container("sandbox")
    for name, detector, version, column in (
        ("pixel_mask", "eiger4m_single", 1, 0),
        ("pixel_mask", "eiger4m_single", 2, 1),
        ("pixel_mask", "eiger1m_single", 3, 2),
        ("chip_mask", "eiger4m_single", 1, 3),
    ):
        mask = np.ones(SHAPE, bool)
        mask[:, column] = False
        metadata = {"spec": "mask", "name": name, "detector": detector, "version": version}
        sandbox.write_array(mask, metadata=metadata)
    labels = np.zeros(SHAPE, np.int64)
    labels[5:15, 5:15] = 4
    sandbox.write_array(labels, key="labels")
    return sandbox


@pytest.fixture
def library(root: Container, settings, registry: Container) -> MaskLibrary:
    assert len(registry) == 5
    return MaskLibrary(root, settings.model_copy(update={"masks_path": "sandbox"}))


def test_newest_mask_of_the_detector_holds_and_its_version_is_kept(library: MaskLibrary, raw, detector_folder, frames):
    facts = run_facts(find_run(raw, write_run(raw, frames, GEOMETRY, detector_folder / "registry")))
    asked = [{"name": "pixel_mask"}, {"name": "chip_mask"}]

    found = plan(facts, parse_recipe({**RECIPE, "masks": {"registry": asked}}), library)

    assert np.flatnonzero(~found.mask.all(axis=0)).tolist() == [1, 3]
    assert [mask.version for mask in found.resolved.recipe.masks.registry] == [2, 1]
    older = [{"name": "pixel_mask", "version": 1}]
    assert not plan(facts, parse_recipe({**RECIPE, "masks": {"registry": older}}), library).mask[:, 0].any()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"name": "jul11_2022_4m_saxs"}, "'jul11_2022_4m_saxs', but sandbox holds none for eiger4m_single_image"),
        ({"name": "pixel_mask", "version": 9}, "of version 9, but sandbox holds none .* versions there: 1, 2"),
    ],
)
def test_mask_that_is_not_there_is_said_with_those_that_are(library, raw, detector_folder, frames, wanted, sentence):
    facts = run_facts(find_run(raw, write_run(raw, frames[:3], GEOMETRY, detector_folder / wanted["name"])))

    with pytest.raises(RecipeError, match=sentence):
        plan(facts, parse_recipe({**RECIPE, "masks": {"registry": [wanted]}}), library)


def test_labels_may_come_from_tiled(library: MaskLibrary) -> None:
    assert library.labels("tiled:sandbox/labels")[7, 7] == 4
    with pytest.raises(RecipeError, match="Tiled has no container"):
        library.labels("tiled:sandbox/nothing")
    with pytest.raises(RecipeError, match="which is no array of rows and columns"):
        library.labels("tiled:sandbox")


@pytest.mark.parametrize("detector", ["eiger4m_single", "eiger1m_single", "eiger500K_single"])
def test_every_eiger_is_right_with_nothing_to_configure(raw, detector_folder, frames, detector: str) -> None:
    """Frames as the detector writes them, and nothing but the run's own metadata: upright, and centred."""
    ensemble = Ensemble.load()
    uid = write_run(raw, frames, GEOMETRY, detector_folder / detector, detector=detector)
    run = find_run(raw, uid)
    facts = run_facts(run)
    resolved = resolve(Recipe(), facts)

    assert (resolved.geometry.beam_center_y, resolved.geometry.beam_center_x) == pytest.approx((30, 10))
    assert facts.shape[1:] == (SHAPE if detector != "eiger500K_single" else SHAPE[::-1])
    analysis = analyse(TiledFrames(run, facts), parse_recipe(RECIPE), ensemble)
    np.testing.assert_allclose(analysis.arrays["mean_frame"], frames.mean(axis=0), rtol=1e-6)
    row = analysis.tables["fits"].iloc[0]
    assert abs(row["raw_relaxation_rate"] - 6e5 * row["q"] ** 2) < 4 * row["raw_relaxation_rate_error"]


def test_master_file_helps_where_tiled_repeats_the_first_file(raw, detector_folder, frames, monkeypatch) -> None:
    """The defect of the beamline's handler, with the series itself within reach."""
    folder = detector_folder / "handler"
    uid = write_run(raw, frames, GEOMETRY, folder, shape_style="frames", frames_per_file=20)
    run = find_run(raw, uid)
    source = TiledFrames(run, run_facts(run), folders=[detector_folder])
    first = source._files[0]
    monkeypatch.setattr(source, "_files", [first, first, first])

    analysis = analyse(source, parse_recipe(RECIPE), Ensemble.load())

    assert any("read from the detector's own files instead" in warning for warning in analysis.warnings)
    np.testing.assert_allclose(analysis.arrays["mean_frame"], frames.mean(axis=0), rtol=1e-6)
