"""From the frame as written to the analysis frame, pixel by pixel for every Eiger of CHX."""

import numpy as np
import pytest

from twotime.files import detector_of
from twotime.recipe import Found, Recipe, RunFacts, parse_recipe, resolve
from twotime.xpcs.orientation import as_written, oriented, oriented_point, oriented_shape, written_point
from twotime.xpcs.pixels import RoiPixels

SHAPES = {
    "eiger4m_single_image": (2167, 2070),
    "eiger1m_single_image": (1065, 1030),
    "eiger500K_single_image": (514, 1030),
}


def as_the_notebooks_do(image: np.ndarray, key: str) -> np.ndarray:
    """pyCHX: reverse turns every image upside down; the 500K is turned by np.rot90 after that."""
    flipped = np.flipud(image)
    return np.rot90(flipped) if "500k" in key.lower() else flipped


@pytest.mark.parametrize("key", SHAPES)
def test_every_pixel_goes_where_the_notebooks_of_chx_put_it(key: str) -> None:
    detector = detector_of(key)
    assert detector is not None
    height, width = SHAPES[key]
    raw = np.arange(height * width, dtype=np.uint32).reshape(height, width)

    analysis = oriented(raw, detector.orientation)

    np.testing.assert_array_equal(analysis, as_the_notebooks_do(raw, key))
    assert analysis.shape == oriented_shape((height, width), detector.orientation)
    np.testing.assert_array_equal(as_written(analysis, detector.orientation), raw)
    for y, x in ((0, 0), (3, 17), (height - 1, width - 1), (100, 513)):
        row, column = oriented_point(y, x, (height, width), detector.orientation, pychx=False)
        assert analysis[int(row), int(column)] == raw[y, x]


@pytest.mark.parametrize("key", SHAPES)
@pytest.mark.parametrize("pychx", [True, False])
def test_points_come_back_from_where_they_went(key: str, pychx: bool) -> None:
    detector = detector_of(key)
    assert detector is not None
    there = oriented_point(123.4, 56.7, SHAPES[key], detector.orientation, pychx=pychx)

    assert written_point(*there, SHAPES[key], detector.orientation, pychx=pychx) == pytest.approx((123.4, 56.7))


@pytest.mark.parametrize(
    ("key", "center"),
    [
        ("eiger4m_single_image", (2167 - 1209.25, 1126.5)),
        ("eiger1m_single_image", (1065 - 1209.25, 1126.5)),
        ("eiger500K_single_image", (1030 - 1126.5, 514 - 1209.25)),
    ],
)
def test_recorded_centre_reaches_the_analysis_frame_as_in_pychx_with_its_fraction(
    key: str, center: tuple[float, float]
) -> None:
    resolved = resolve(Recipe(), facts(key))

    geometry = resolved.geometry
    assert (geometry.beam_center_y, geometry.beam_center_x) == pytest.approx(center)
    assert "as pyCHX counts" in resolved.sources["geometry.beam_center_y"]
    exact = resolve(parse_recipe({"geometry": {"center_convention": "exact"}}), facts(key)).geometry
    assert exact.beam_center_y == pytest.approx(center[0] - 1)


def test_recipe_may_turn_a_frame_or_leave_it_as_written() -> None:
    raw = resolve(parse_recipe({"geometry": {"orientation": "raw"}}), facts("eiger4m_single_image"))
    other = resolve(parse_recipe({"geometry": {"orientation": "flipped and turned"}}), facts("pilatus800_image"))

    assert (raw.geometry.beam_center_y, raw.geometry.beam_center_x) == (1209.25, 1126.5)
    assert other.orientation == "flipped and turned"
    assert resolve(Recipe(), facts("pilatus800_image")).orientation == "raw"


@pytest.mark.parametrize("orientation", ["raw", "flipped", "flipped and turned"])
def test_pixels_are_gathered_from_frames_as_written(orientation: str) -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 60_000, (4, 7, 11), dtype=np.uint16)
    analysis = oriented(raw, orientation)
    labels = rng.integers(0, 4, analysis.shape[1:]).astype(np.int32)

    pixels = RoiPixels(labels, orientation)
    gathered = pixels.gather(raw)

    for label, own in enumerate(pixels.columns, start=1):
        np.testing.assert_array_equal(gathered[:, own], analysis[:, labels == label])


def facts(key: str) -> RunFacts:
    geometry = {
        "beam_center_y": Found(1209.25, "descriptor"),
        "beam_center_x": Found(1126.5, "descriptor"),
        "distance_m": Found(16.03, "descriptor"),
        "wavelength_angstrom": Found(1.285, "descriptor"),
        "pixel_size_m": Found(75e-6, "descriptor"),
        "frame_time_s": Found(0.01, "descriptor"),
    }
    kind = detector_of(key)
    return RunFacts(
        "1a2b3c4d-0000",
        key,
        (100, *SHAPES.get(key, (195, 487))),
        geometry=geometry,
        orientation="raw" if kind is None else kind.orientation,
    )
