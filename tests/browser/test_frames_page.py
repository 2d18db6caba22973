"""The page of denoised frames in a real browser."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from tests.browser.conftest import complaints, shown, text
from tests.browser.test_page import Browse, click, drawn, violations
from tests.waiting import until
from tests.writing import GEOMETRY, RINGS

from frame_denoiser import FrameDenoiser
from twotime.catalog.results.live_scans import LiveSink
from twotime.catalog.server.tiled_client import open_root, results_container
from twotime.live.display import denoised_arrays, denoised_numbers
from twotime.live.growing_frames import GrowingFrames
from twotime.pipeline import plan_frames
from twotime.recipe import FrameRecipe, RunFacts, parse_recipe
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, write_scan

pytestmark = pytest.mark.timeout(900)
SHAPE = (64, 96)
RECIPE = {
    "kind": "frames",
    "regions": [
        {"rows": [20, 37], "columns": [50, 67]},
        {"kind": "polygon", "vertices": [[40, 10], [40, 30], [60, 30]]},
    ],
}


@pytest.fixture(scope="module")
def denoised(beamline: tuple[Settings, Any, Path], api: httpx.Client) -> str:
    """Id of an analysis of kind frames: a peak that fades with the temperature."""
    _, raw, folder = beamline
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = np.exp(-((row - 28) ** 2 + (column - 58) ** 2) / 12)
    background = 0.2 + 0.8 * np.exp(-np.hypot(row - 32, column - 10) / 30)
    rate = background + np.linspace(4, 0, 8)[:, None, None] * peak
    frames = np.random.default_rng(2).poisson(rate).astype(np.uint16)
    temperatures = ("K", [float(t) for t in np.linspace(60, 130, 8)])
    scan = Scan("camera", "charge order", 77, layout="frames", variables={"temperature": temperatures})
    uid = write_scan(raw, frames, GEOMETRY, folder / "frames", scan)
    key = api.post("/analyses", json={"uid": uid, "recipe": RECIPE}).json()["id"]
    until(lambda: api.get(f"/analyses/{key}").json()["status"] == "done", lambda: api.get(f"/analyses/{key}").text)
    return str(key)


def of_plot(browser: webdriver.Chrome, script: str) -> Any:
    """What a script finds of the pictures of the frame, which are `div`."""
    return browser.execute_script(f"const div = document.querySelector('[aria-label=Frames] .plot'); {script}")


def test_frames_open_side_by_side_with_one_zoom(browse: Browse, denoised: str, screenshots: Path) -> None:
    browser = browse(denoised, size="1440,900")
    drawn(browser, 3)
    browser.save_screenshot(str(screenshots / "frames.png"))

    assert "charge order" in text(browser, "#analysis h2")
    titles = of_plot(browser, "return div.layout.annotations.map((one) => one.text)")
    assert [title.split(",")[0] for title in titles] == [
        "raw counts",
        "denoised rate",
        "standard error of the rate",
        "residual",
    ]
    assert "change with temperature: from" in text(browser, ".verdict")
    assert len(shown(browser, "table.peaks tbody tr")) >= 1
    of_plot(browser, "return Plotly.relayout(div, {'xaxis.range': [40, 70], 'yaxis.range': [40, 20]}).then(() => 1)")
    until(lambda: of_plot(browser, "return Math.round(div.layout.xaxis4.range[0])") == 40)
    click(browser, "[aria-label=Frames] button")
    until(lambda: of_plot(browser, "return div.layout.xaxis3.range[0]") == -0.5)
    assert violations(browser) == []
    assert complaints(browser) == []


def test_profile_is_drawn_through_the_pictures(browse: Browse, denoised: str, screenshots: Path) -> None:
    browser = browse(denoised, size="1440,1900")
    drawn(browser, 3)
    profile = "const plot = document.querySelector(\"[aria-label='Profile along a line'] .plot\");"
    lengths = f"{profile} return plot.data.map((one) => one.x.length)"
    until(lambda: browser.execute_script(lengths)[0] > 40)

    click(browser, "[aria-label='Profile along a line'] .head button")
    until(lambda: of_plot(browser, "return div.layout.dragmode") == "drawline")
    line = "{type: 'line', x0: 50, y0: 20, x1: 70, y1: 36, line: {color: div.layout.newshape.line.color}}"
    of_plot(browser, f"return Plotly.relayout(div, {{shapes: [...div.layout.shapes, {line}]}}).then(() => 1)")
    until(lambda: browser.execute_script(lengths)[0] == 27)
    assert browser.find_element(By.ID, "line-row_stop").get_attribute("value") == "36"
    until(lambda: of_plot(browser, "return div.layout.dragmode") != "drawline")
    browser.execute_script(
        "const one = document.querySelector('#line-width'); one.value = 5; one.dispatchEvent(new Event('change'))"
    )
    until(lambda: browser.execute_script(f"{profile} return plot.data[2].error_y.array[3]") < 1)
    browser.save_screenshot(str(screenshots / "frames-profile.png"))
    assert violations(browser) == []
    assert complaints(browser) == []


def test_frame_is_chosen_with_the_slider_and_in_the_plot_of_counts(
    browse: Browse, denoised: str, api: httpx.Client
) -> None:
    browser = browse(denoised)
    drawn(browser, 3)
    browser.execute_script(
        "const one = document.querySelector('#frame-number'); one.value = 7; one.dispatchEvent(new Event('input'))"
    )

    until(lambda: "temperature 130 K" in text(browser, "output"))
    peaks = api.get(f"/analyses/{denoised}/peaks", params={"frame": 7}).json()["columns"]["row"]
    until(lambda: len(shown(browser, "table.peaks tbody tr")) == len(peaks))
    until(lambda: of_plot(browser, "return div.data.at(-1).y") == pytest.approx(peaks))
    counts = "const div = document.querySelector(\"[aria-label='Counts of a region'] .plot\");"
    browser.execute_script(f"{counts} div.emit('plotly_click', {{points: [{{customdata: 2}}]}})")
    until(lambda: "frame 2 of 0 – 7" in text(browser, "output"))
    assert complaints(browser) == []


def test_list_shows_one_kind_where_there_are_two(browse: Browse, denoised: str, api: httpx.Client) -> None:
    uid = api.get(f"/analyses/{denoised}").json()["raw_uid"]
    other = api.post("/analyses", json={"uid": uid, "recipe": RINGS}).json()["id"]
    browser = browse(denoised)
    keys = "return [...document.querySelectorAll('#analyses .item')].map((one) => one.dataset.key).sort()"
    until(lambda: len(browser.execute_script(keys)) == 2)

    for kind, own in (("frames", [denoised]), ("xpcs", [other]), ("", sorted([denoised, other]))):
        browser.execute_script(
            "const one = document.querySelector('#kind'); one.value = arguments[0]; "
            "one.dispatchEvent(new Event('change'))",
            kind,
        )
        until(lambda expected=own: browser.execute_script(keys) == expected)
    assert complaints(browser) == []


def test_phone_stacks_the_pictures(browse: Browse, denoised: str, screenshots: Path) -> None:
    browser = browse(denoised, size="500,1000")
    drawn(browser, 3)
    browser.save_screenshot(str(screenshots / "frames-phone.png"))

    domains = of_plot(browser, "return ['', 2, 3, 4].map((n) => div.layout[`xaxis${n}`].domain[0])")
    assert domains == [0, 0, 0, 0]
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert complaints(browser) == []


def test_recipe_page_turns_from_one_kind_to_the_other(
    browse: Browse, denoised: str, api: httpx.Client, screenshots: Path
) -> None:
    uid = api.get(f"/analyses/{denoised}").json()["raw_uid"]
    browser = browse(f"recipe/{uid}/{denoised}", size="1440,900")
    until(lambda: "2 regions" in text(browser, ".outcome"))
    browser.save_screenshot(str(screenshots / "frames-recipe.png"))

    assert browser.find_element(By.ID, "field-regions-0-rows").get_attribute("value") == "20 37"
    assert violations(browser) == []
    browser.execute_script(
        "const one = document.querySelector('#field-kind'); one.value = 'xpcs'; one.dispatchEvent(new Event('change'))"
    )
    until(lambda: "ROIs" in text(browser, ".outcome"))
    assert browser.find_elements(By.ID, "field-geometry-distance_m") != []
    assert complaints(browser) == []


def test_newest_frame_of_a_running_scan_follows_the_detector(
    browse: Browse, beamline: tuple[Settings, Any, Path], screenshots: Path
) -> None:
    settings, _, _ = beamline
    root = open_root(settings)
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = np.exp(-((row - 28) ** 2 + (column - 58) ** 2) / 12)
    background = 0.2 + 0.8 * np.exp(-np.hypot(row - 32, column - 10) / 30)
    rate = background + np.linspace(0, 3, 8)[:, None, None] * peak
    frames = np.random.default_rng(4).poisson(rate).astype(np.uint16)
    recipe = parse_recipe(RECIPE)
    assert isinstance(recipe, FrameRecipe)
    facts = RunFacts("88889999-live", "camera_image", frames.shape, scan_id=78, sample="charge order, running")
    growing = GrowingFrames(plan_frames(facts, recipe), FrameDenoiser.load())
    described = {"kind": "frames", "scan_id": 78, "sample": facts.sample, "detector": facts.detector, "message": ""}
    described |= {"recipe": recipe.model_dump(mode="json"), "state": "running", "announced": 8, "frame_time_s": 1.0}
    sink = LiveSink(results_container(root, settings), facts.uid, {**described, "n_frames": 0})

    def show(first: int) -> None:
        growing.take(first, frames[first : first + 1])
        newest = growing.newest()
        assert newest is not None
        sink.write(denoised_arrays(newest), **denoised_numbers(newest), n_frames=first + 1, lag_s=0.4)

    for number in range(8):
        show(number)
    browser = browse(f"live/{facts.uid}", size="1440,1300")
    drawn(browser, 2)
    browser.save_screenshot(str(screenshots / "frames-live.png"))

    assert "charge order, running" in text(browser, "#analysis h2")
    assert "frame 7" in text(browser, "[aria-label=Frames] .under")
    assert len(of_plot(browser, "return div.data.filter((one) => one.type === 'heatmap')")) == 4
    assert len(shown(browser, "table.peaks tbody tr")) >= 1
    counts = "const div = document.querySelector(\"[aria-label='Counts so far'] .plot\");"
    assert len(browser.execute_script(f"{counts} return div.data[0].x")) == 8
    assert violations(browser) == []
    assert complaints(browser) == []
    root.context.close()
