"""Regions of every kind, from the recipe to labels with q and φ."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.errors import RecipeError
from twotime.pipeline import Plan, plan
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts, parse_recipe
from twotime.settings import Settings
from twotime.xpcs import Geometry, angle_map, q_map, radius_map

GEOMETRY = Geometry(30.0, 25.0, 5.0, 1.24, 75e-6, 0.01)
SHAPE = (64, 48)


def facts(n_frames: int = 100, shape: tuple[int, int] = SHAPE, **given: object) -> RunFacts:
    geometry = {name: Found(getattr(GEOMETRY, name), "test") for name in GEOMETRY_UNITS}
    return RunFacts("1a2b3c4d-0000", "pilatus_image", (n_frames, *shape), geometry=geometry, **given)  # type: ignore[arg-type]


def planned(*rois: dict[str, object], folder: Path | None = None, **recipe: object) -> Plan:
    library = MaskLibrary(None, Settings(mask_dir=folder))
    return plan(facts(), parse_recipe({"rois": list(rois), "min_pixels": 1, **recipe}), library)


def test_rings_by_centres_and_width_are_those_by_edges() -> None:
    centred = planned({"unit": "pixel", "centers": [10, 20], "width": 4})
    edged = planned({"unit": "pixel", "edges": [[8, 12], [18, 22]]})

    np.testing.assert_array_equal(centred.rois.labels, edged.rois.labels)


def test_sectors_count_ring_by_ring_and_meet_without_gaps() -> None:
    rings = {"unit": "pixel", "edges": [[5, 10], [10, 15]]}
    whole = planned(rings)
    sectors = planned({"kind": "qphi", "rings": rings, "angles": {"num": 4}})

    np.testing.assert_array_equal(sectors.rois.labels > 0, whole.rois.labels > 0)
    assert sectors.rois.phi.tolist() == [45, 135, 225, 315] * 2
    for r, (phi, q) in enumerate(zip(sectors.rois.phi, sectors.rois.q, strict=True), start=1):
        own = sectors.rois.labels == r
        angle = (angle_map(GEOMETRY, SHAPE)[own] - phi + 180) % 360 - 180
        assert np.abs(angle).max() <= 45
        assert q == pytest.approx(q_map(GEOMETRY, SHAPE)[own].mean())
    assert (sectors.rois.q[4:] > sectors.rois.q[:4]).all()


def test_symmetric_sectors_join_what_lies_across_the_beam() -> None:
    angles = {"outer": 180, "num": 3, "symmetric": True, "flow_angle": 20}
    rois = planned({"kind": "qphi", "rings": {"unit": "pixel", "edges": [[5, 15]]}, "angles": angles}).rois

    assert rois.phi.tolist() == [50, 110, 170]
    rows, columns = np.nonzero(rois.labels)
    np.testing.assert_array_equal(rois.labels[rows, columns], rois.labels[60 - rows, 50 - columns])
    ring = (radius_map(GEOMETRY, SHAPE) >= 5) & (radius_map(GEOMETRY, SHAPE) < 15)
    np.testing.assert_array_equal(rois.labels > 0, ring)


def test_sectors_of_a_width_leave_the_gaps_between_them() -> None:
    angles = {"inner": -30, "outer": 30, "num": 2, "width": 20}
    rois = planned({"kind": "qphi", "rings": {"unit": "pixel", "edges": [[10, 20]]}, "angles": angles}).rois

    assert rois.phi.tolist() == [-20, 20]
    assert np.abs(angle_map(GEOMETRY, SHAPE)[rois.labels > 0]).min() >= 10


def test_sector_off_the_detector_is_left_out_with_a_word() -> None:
    rings = {"unit": "pixel", "edges": [[36, 40]]}
    found = planned({"kind": "qphi", "rings": rings, "angles": {"num": 8}})

    assert 0 < found.rois.number < 8
    assert any("was left out: it holds 0 usable pixels" in warning for warning in found.warnings)


def test_boxes_and_polygons_hold_their_pixels_and_may_be_given_a_q() -> None:
    box = {"kind": "box", "rows": [2, 5], "columns": [1, 4], "q": 0.02}
    triangle = {"kind": "polygon", "vertices": [[10, 10], [10, 20], [20, 10]]}
    rois = planned(box, triangle).rois

    assert (rois.n_pixels[0], rois.q[0]) == (9, 0.02)
    assert np.isnan(rois.phi).all()
    rows, columns = np.nonzero(rois.labels == 2)
    assert (rows + columns <= 30).all()
    assert rois.n_pixels[1] == pytest.approx(50, abs=6)
    assert rois.q[1] == pytest.approx(q_map(GEOMETRY, SHAPE)[rois.labels == 2].mean())


def test_label_arrays_keep_their_order_and_their_lists(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[:5, :5], labels[20:24, 20:30] = 7, 3
    np.savez(tmp_path / "labels.npz", labels=labels)
    named = {"kind": "labels", "array": "labels.npz", "q_list": [0.01, 0.02], "phi_list": [5, 6]}

    rois = planned(named, folder=tmp_path).rois

    assert (rois.q.tolist(), rois.phi.tolist(), rois.n_pixels.tolist()) == ([0.01, 0.02], [5, 6], [40, 25])
    with pytest.raises(RecipeError, match="q_list has 1 values for 2 regions"):
        planned({**named, "q_list": [0.01]}, folder=tmp_path)


def test_named_masks_of_the_site_are_shifted_to_the_beam_centre(tmp_path: Path) -> None:
    big = np.zeros((8000, 8000), np.uint8)
    big[4010:4013, 3996:4004] = 1
    np.savez_compressed(tmp_path / "general_roi_mask_norm.npz", big)

    rois = planned({"kind": "named", "name": "norm"}, folder=tmp_path).rois

    rows, columns = np.nonzero(rois.labels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 42, 21, 28)


def test_qmap_files_give_bins_with_q_and_phi(tmp_path: Path) -> None:
    bins = np.zeros(SHAPE, np.int64)
    bins[:4, :4], bins[10:14, :6] = 1, 2
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["qmap/dynamic_roi_map"] = bins
        file["qmap/mask"] = np.ones(SHAPE, bool)
        file["qmap/dynamic_v_list_dim0"] = [0.01, 0.02]
        file["qmap/dynamic_v_list_dim1"] = [0.0, 90.0, 180.0]
        file["qmap/dynamic_index_mapping"] = [1, 5]

    rois = planned({"kind": "qmap", "file": "map.h5"}, folder=tmp_path).rois

    assert (rois.q.tolist(), rois.phi.tolist(), rois.n_pixels.tolist()) == ([0.01, 0.02], [90, 180], [16, 24])


@pytest.mark.parametrize(
    ("roi", "sentence"),
    [
        ({"kind": "labels", "array": "../secret.npy"}, "no such .npy or .npz file in the folder of masks"),
        ({"kind": "labels", "array": "/etc/passwd"}, "no such .npy or .npz file"),
        ({"kind": "labels", "array": "tiled:chx/labels"}, "there is no Tiled server here"),
        ({"kind": "named", "name": "wide"}, "there is no general_roi_mask_wide.npy"),
        ({"kind": "qmap", "file": "none.h5"}, "there is no such .h5"),
        ({"kind": "labels", "array": "other.npy"}, r"shape \(3, 3\), but the analysis frame of the detector is"),
        ({"kind": "labels", "array": "half.npy"}, "holds values that are no labels"),
        ({"kind": "polygon", "vertices": [[100, 100], [100, 101], [101, 100]]}, "holds no pixel of the detector"),
        ({"kind": "box", "rows": [0, 65], "columns": [0, 3]}, r"box has rows \[0, 65\], expected"),
        ({"kind": "box", "rows": [0, 2], "columns": [0, 2]}, "no region holds 10 usable pixels; lower min_pixels"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(roi: dict[str, object], sentence: str, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", np.ones((3, 3), int))
    np.save(tmp_path / "half.npy", np.full(SHAPE, 0.5))
    np.save(tmp_path.parent / "secret.npy", np.ones(SHAPE, int))

    with pytest.raises(RecipeError, match=sentence):
        planned(roi, folder=tmp_path, min_pixels=10)


OUTSIDE = ["../{}", "x/../../{}", "{folder}/{}", "link", "{}\0", "{}" * 300, "", ".", "~/{}", "file://{folder}/{}"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("reads", ["mask_file", "labels", "qmap", "named_labels"])
def test_no_file_outside_the_folder_of_masks_is_read(tmp_path: Path, reads: str, name: str) -> None:
    suffix = ".h5" if reads == "qmap" else ".npy"
    np.save(tmp_path / "general_roi_mask_a.npy", np.ones(SHAPE, int))
    with h5py.File(tmp_path / "general_roi_mask_a.h5", "w") as file:
        file["qmap/dynamic_roi_map"] = np.ones(SHAPE, int)
        file["qmap/dynamic_v_list_dim0"] = file["qmap/dynamic_v_list_dim1"] = [0.01]
    masks = tmp_path / "masks"
    (masks / "x").mkdir(parents=True)
    (masks / f"general_roi_mask_link{suffix}").symlink_to(tmp_path / f"general_roi_mask_a{suffix}")
    file_name = name.format(*["general_roi_mask_a" + suffix] * 300, folder=tmp_path)
    asked = name if reads == "named_labels" else f"general_roi_mask_link{suffix}" if name == "link" else file_name

    with pytest.raises(RecipeError):
        getattr(MaskLibrary(None, Settings(mask_dir=masks)), reads)(asked)


def test_rois_beyond_the_most_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    rings = {"unit": "pixel", "inner_radius": 1, "width": 0.05, "num_rings": 20}
    with pytest.raises(RecipeError, match="rois name 7200 ROIs; take at most 1000"):
        planned({"kind": "qphi", "rings": rings, "angles": {"num": 360}})
    np.save(tmp_path / "pixels.npy", np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE))
    with pytest.raises(RecipeError, match="holds 3071 regions; 1000 are the most"):
        planned({"kind": "labels", "array": "pixels.npy"}, folder=tmp_path)
    places = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    for name, own in (("upper.npy", places < places.size // 2), ("lower.npy", places >= places.size // 2)):
        np.save(tmp_path / name, np.where(own, places % 600 + 1, 0))
    with pytest.raises(RecipeError, match="more than 1000 ROIs"):
        planned(*({"kind": "labels", "array": name} for name in ("upper.npy", "lower.npy")), folder=tmp_path)


def test_thousand_rois_take_no_more_memory_than_a_few_frames() -> None:
    run, frame_bytes = facts(shape=(1000, 1000)), 8 * 1000**2
    rings = {"unit": "pixel", "inner_radius": 5, "width": 20, "num_rings": 50}
    recipe = parse_recipe(
        {"rois": [{"kind": "qphi", "rings": rings, "angles": {"outer": 90, "num": 20}}], "min_pixels": 1}
    )
    tracemalloc.start()
    try:
        rois = plan(run, recipe).rois
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert rois.number > 990
    assert peak < 10 * frame_bytes


def test_array_beyond_the_most_pixels_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "vast.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**5, 10**5)})
        file.truncate(10**10 + file.tell())

    with pytest.raises(RecipeError, match="100000000 pixels are the most"):
        planned({"kind": "labels", "array": "vast.npy"}, folder=tmp_path)


def test_frames_are_added_at_once_where_a_run_announces_very_many() -> None:
    run = facts(n_frames=10**15)

    assert plan(run, parse_recipe({"rois": [{"unit": "pixel", "edges": [[5, 10]]}]})).bin > 10**9


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([[print]], object), allow_pickle=True)

    with pytest.raises(RecipeError, match="cannot be read as an array of numbers"):
        planned({"kind": "labels", "array": "mask.npy"}, folder=tmp_path)


def test_mask_files_leave_out_what_is_false_in_either_frame(tmp_path: Path) -> None:
    mask = np.ones((514, 1030), bool)
    mask[0, :7] = False
    np.save(tmp_path / "chip.npy", mask)
    np.save(tmp_path / "turned.npy", np.rot90(np.flipud(mask)))
    library = MaskLibrary(None, Settings(mask_dir=tmp_path))
    run = facts(shape=(514, 1030), orientation="flipped and turned")
    roi = {"kind": "box", "rows": [0, 1030], "columns": [500, 514]}

    for name in ("chip.npy", "turned.npy"):
        found = plan(run, parse_recipe({"rois": [roi], "masks": {"files": [name]}}), library)
        assert found.rois.n_pixels.tolist() == [1030 * 14 - 7]
    np.save(tmp_path / "small.npy", np.ones((2, 2)))
    with pytest.raises(RecipeError, match=r"masks.files: small.npy has shape \(2, 2\)"):
        plan(run, parse_recipe({"rois": [roi], "masks": {"files": ["small.npy"]}}), library)


def test_frames_are_added_where_memory_does_not_hold_all_pairs() -> None:
    run = facts(n_frames=20_000)
    recipe = parse_recipe({"rois": [{"unit": "pixel", "edges": [[5, 10], [10, 15]]}]})

    ample, scarce = (plan(run, recipe, budget_bytes=size) for size in (13 * 2**30, 2**30))

    assert (ample.bin, scarce.bin) == (1, 4)
    assert any(warning.startswith("Every 4 frames were added to one") for warning in scarce.warnings)
    assert scarce.frame_time_s == pytest.approx(4 * GEOMETRY.frame_time_s)
    assert scarce.resolved.recipe.frames.bin == 4
    again = plan(run, scarce.resolved.recipe, budget_bytes=2**30)
    assert again.resolved.recipe == scarce.resolved.recipe


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("distance_m", 16030.0, "geometry.distance_m is 16030 .* no beamline has in metres but many in millimetres"),
        ("wavelength_angstrom", 9650.0, "9650 eV would be 1.285 Å"),
        ("wavelength_angstrom", 1.285e-10, "but many in metres"),
        ("pixel_size_m", 75.0, "but many in micrometres"),
        ("pixel_size_m", 0.075, "but many in millimetres"),
    ],
)
def test_value_in_another_unit_is_named_with_that_unit(field: str, value: float, sentence: str) -> None:
    run = facts()
    run.geometry[field] = Found(value, "descriptor configuration x")

    with pytest.raises(RecipeError, match=sentence):
        plan(run, parse_recipe({}))


def test_suspicious_values_are_told_before_anything_is_computed() -> None:
    run = facts(shortest_frame_time_s=0.02, exposure_s=0.011, announced=120)
    run.geometry["beam_center_y"] = run.geometry["beam_center_x"] = Found(0.0, "descriptor")

    told = " ".join(plan(run, parse_recipe({})).warnings)

    assert "shorter than the 0.02 s that pilatus_image can do" in told
    assert "shorter than the exposure of 0.011 s" in told
    assert "asked for 120 frames, but the run holds 100" in told
    assert "records a beam centre of 0, 0" in told


@pytest.mark.parametrize(("analysis", "number"), [("", 10), ("iso", 10), ("qphi", 60)])
def test_run_itself_may_ask_for_sectors(analysis: str, number: int) -> None:
    run = facts(shape=(200, 200), analysis=analysis)
    run.geometry["beam_center_y"] = run.geometry["beam_center_x"] = Found(100.0, "test")

    found = plan(run, parse_recipe({"min_pixels": 1}))

    assert found.rois.number == number
    assert ("as the start document asks" in found.resolved.sources["rois"]) == (number == 60)
