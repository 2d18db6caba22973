"""Two-time correlation functions too long for the screen: averaged as a whole, in detail where they are zoomed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from tests.browser.conftest import complaints, shown, text
from tests.browser.test_page import drawn, violations
from tests.browser.test_recipe_page import marked
from tests.waiting import until
from tests.writing import GEOMETRY, MODEL

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.read import read_array
from twotime.catalog.server.tiled_client import open_root, results_container
from twotime.settings import Settings
from twotime.simulate import simulate_frames, write_run

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]
N_FRAMES = 600
WHOLE = "#analysis [aria-live] + .button"
"""The button that shows all frames again, beside the words about the zoom."""
NODES = ("two_time", "two_time_denoised", "two_time_spread")


@pytest.fixture(scope="module")
def long_scan(beamline: tuple[Settings, Any, Path], api: httpx.Client) -> str:
    """Id of a finished analysis with more frames than the page draws points."""
    _, raw, folder = beamline
    options = {"shape_style": "frames", "detector": "camera", "sample": "long scan", "scan_id": 43}
    uid = write_run(raw, simulate_frames(MODEL, N_FRAMES), GEOMETRY, folder, **options)

    def ended() -> str:
        found = api.get("/analyses", params={"uid": uid, "status": "done"}).json()["analyses"]
        return next((str(one["id"]) for one in found if one["raw_uid"] == uid), "")

    return str(until(ended, lambda: api.get("/analyses").text))


@pytest.fixture
def published(beamline: tuple[Settings, Any, Path], long_scan: str) -> list[np.ndarray]:
    """The arrays of the first ROI in Tiled."""
    settings, _, _ = beamline
    root = open_root(settings)
    store = AnalysisStore(results_container(root, settings))
    arrays = [read_array(store, long_scan, name, 1) for name in NODES]
    root.context.close()
    return arrays


def zoom(browser: webdriver.Chrome) -> None:
    """Drag over a part of the first picture, a little off the diagonal."""
    pane = browser.find_element(By.CSS_SELECTOR, "#analysis .plot .draglayer .xy .nsewdrag")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pane)
    width, height = pane.size["width"], pane.size["height"]
    hand = ActionChains(browser).move_to_element_with_offset(pane, round(-0.1 * width), round(-0.15 * height))
    hand.click_and_hold().move_by_offset(round(0.1 * width), round(0.1 * height)).pause(0.2)
    hand.move_by_offset(round(0.1 * width), round(0.1 * height)).pause(0.2).release().perform()


def picture(browser: webdriver.Chrome, n: int) -> tuple[np.ndarray, int, int]:
    """Values of a picture, and the frames of its first row and column."""
    script = """
        const { z, x0, dx, y0, dy } = document.querySelector('#analysis .plot').data[arguments[0]];
        return [z.map((row) => [...row].map((one) => (Number.isNaN(one) ? null : one))), x0 - dx / 2, y0 - dy / 2];
    """
    rows, left, lower = browser.execute_script(script, n)
    first_row, first_column = (round(time / GEOMETRY.frame_time_s) for time in (lower, left))
    return np.array(rows, float), first_row, first_column


def colours(browser: webdriver.Chrome) -> list[float]:
    """Ends of the colour scales of the pictures."""
    script = """
        const { coloraxis, coloraxis2 } = document.querySelector('#analysis .plot').layout;
        return [coloraxis.cmin, coloraxis.cmax, coloraxis2.cmin, coloraxis2.cmax];
    """
    return list(browser.execute_script(script))


def said(browser: webdriver.Chrome) -> str:
    """Words above the pictures."""
    return text(browser, "#analysis .card .head .under")


def test_zoom_shows_what_tiled_holds_and_keeps_the_colours(
    browse: Browse, long_scan: str, published: list[np.ndarray], screenshots: Path
) -> None:
    browser = browse(long_scan)
    drawn(browser, 6)
    before = colours(browser)
    assert "the mean of 2 × 2 frames" in said(browser)
    assert picture(browser, 0)[0].shape == (N_FRAMES // 2,) * 2

    zoom(browser)
    until(lambda: "at full resolution" in said(browser), lambda: said(browser))
    browser.save_screenshot(str(screenshots / "zoomed.png"))

    for n, array in enumerate(published):
        values, row, column = picture(browser, n)
        height, width = values.shape
        assert 0.15 * N_FRAMES < height < 0.3 * N_FRAMES
        assert row > column
        np.testing.assert_array_equal(values.astype("f4"), array[row : row + height, column : column + width])
    assert colours(browser) == before
    assert violations(browser) == []
    assert complaints(browser) == []


def test_zoom_stays_with_another_roi_and_another_third_picture(
    browse: Browse, long_scan: str, published: list[np.ndarray]
) -> None:
    browser = browse(long_scan)
    drawn(browser, 6)
    zoom(browser)
    until(lambda: "at full resolution" in said(browser), lambda: said(browser))

    browser.find_element(By.CSS_SELECTOR, ".choice label:last-child").click()
    until(lambda: "measured − denoised" in text(browser, "#analysis .plot"))
    until(lambda: "at full resolution" in said(browser), lambda: said(browser))
    values, row, column = picture(browser, 2)
    height, width = values.shape
    difference = (published[0] - published[1])[row : row + height, column : column + width]
    np.testing.assert_allclose(values, difference, rtol=1e-6)
    assert np.ptp(values) > 0
    first = picture(browser, 0)[0]
    shown(browser, "#analysis table:not(.plain) tbody tr")[1].click()

    def other_is_there() -> bool:
        other, *place = picture(browser, 0)
        return place == [row, column] and other.shape == first.shape and not np.array_equal(other, first)

    until(other_is_there, lambda: said(browser))
    assert "ROI 2" in said(browser)
    assert "at full resolution" in said(browser)


def test_double_click_and_the_button_show_all_frames_again(browse: Browse, long_scan: str) -> None:
    browser = browse(long_scan)
    drawn(browser, 6)
    zoom(browser)
    until(lambda: "at full resolution" in said(browser), lambda: said(browser))

    pane = browser.find_element(By.CSS_SELECTOR, "#analysis .plot .draglayer .xy .nsewdrag")
    ActionChains(browser).move_to_element(pane).double_click().perform()
    until(lambda: "the mean of 2 × 2 frames" in said(browser), lambda: said(browser))
    assert picture(browser, 0)[0].shape == (N_FRAMES // 2,) * 2
    assert shown(browser, WHOLE) == []
    zoom(browser)
    until(lambda: "at full resolution" in said(browser), lambda: said(browser))
    shown(browser, WHOLE)[0].click()

    until(lambda: "the mean of 2 × 2 frames" in said(browser), lambda: said(browser))
    assert marked(browser) == 0
    assert complaints(browser) == []
