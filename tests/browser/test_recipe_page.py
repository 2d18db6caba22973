"""Before and after an analysis in a real browser: its recipe, its place in the queue, its curves at constant age."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from tests.browser.conftest import complaints, shown, text
from tests.browser.test_page import drawn, violations
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]


@pytest.fixture
def record(api: httpx.Client, done: str) -> dict[str, Any]:
    """The finished analysis."""
    found: dict[str, Any] = api.get(f"/analyses/{done}").json()
    return found


def planned(browser: webdriver.Chrome) -> str:
    """Wait until the service has answered what stands in the form; returns the words beside it."""
    submit = ".button.primary"
    until(lambda: any(one.is_enabled() for one in shown(browser, submit)), lambda: text(browser, "#analysis"))
    return text(browser, ".recipe-side")


def outlined(browser: webdriver.Chrome) -> None:
    """Wait until the frame is there with outlines of its very size over it."""
    script = "return ['.under-outlines', '.outlines'].map((one) => document.querySelector(one).naturalWidth)"

    def alike() -> bool:
        frame, outlines = browser.execute_script(script)
        return bool(frame == outlines > 0)

    until(alike)


def written(browser: webdriver.Chrome) -> str:
    """The recipe as it stands in the box of JSON, in one line."""
    return " ".join(str(browser.find_element(By.ID, "recipe-json").get_attribute("value")).split())


def typed(browser: webdriver.Chrome, field: str, words: str) -> None:
    """Put words in place of what stands in a field."""
    found = browser.find_element(By.ID, field)
    found.send_keys(Keys.CONTROL, "a")
    found.send_keys(words or Keys.DELETE)


def test_recipe_of_an_analysis_shows_values_sources_and_rois(
    browse: Browse, record: dict[str, Any], screenshots: Path
) -> None:
    browser = browse(record["id"])
    until(lambda: len(shown(browser, ".actions .button")) > 1)
    next(one for one in shown(browser, ".actions .button") if one.text == "Change the recipe").click()
    words = planned(browser)
    browser.save_screenshot(str(screenshots / "recipe.png"))

    assert f"#recipe/{record['raw_uid']}/{record['id']}" in browser.current_url
    assert "2 ROIs" in words
    assert "finished scan" in text(browser, ".title h2")
    distance = browser.find_element(By.ID, "field-geometry-distance_m")
    assert float(distance.get_attribute("placeholder")) == record["recipe"]["geometry"]["distance_m"]
    assert distance.get_attribute("value") == ""
    assert "distance" in text(browser, "#field-geometry-distance_m-about")
    outlined(browser)
    assert complaints(browser) == []


def test_form_and_json_are_kept_in_step(browse: Browse, record: dict[str, Any]) -> None:
    browser = browse(f"recipe/{record['raw_uid']}/{record['id']}")
    planned(browser)

    typed(browser, "field-fit-ages", "3")
    browser.find_element(By.ID, "field-denoise-enabled").click()
    assert '"ages": 3' in written(browser)
    assert '"enabled": false' in written(browser)
    typed(browser, "field-fit-ages", "")
    browser.find_element(By.ID, "field-denoise-enabled").click()
    assert "ages" not in written(browser)
    assert "denoise" not in written(browser)
    typed(browser, "recipe-json", '{"frames": {"stop": 77}}')

    assert browser.find_element(By.ID, "field-frames-stop").get_attribute("value") == "77"
    assert "77 frames" in planned(browser)


def test_impossible_value_is_said_beside_the_form(browse: Browse, record: dict[str, Any]) -> None:
    browser = browse(f"recipe/{record['raw_uid']}/{record['id']}")
    planned(browser)

    typed(browser, "field-geometry-distance_m", "16000")
    until(lambda: "millimetres" in text(browser, ".trouble"), lambda: text(browser, ".recipe-side"))
    field = browser.find_element(By.ID, "field-geometry-distance_m")
    assert field.get_attribute("aria-invalid") == "true"
    assert not browser.find_element(By.CSS_SELECTOR, ".button.primary").is_enabled()
    typed(browser, "recipe-json", "{")
    until(lambda: "no JSON" in text(browser, ".trouble"), lambda: text(browser, ".trouble"))
    typed(browser, "recipe-json", "{}")

    planned(browser)
    assert shown(browser, ".trouble") == []


def test_sectors_are_laid_out_and_analysed(
    browse: Browse, api: httpx.Client, record: dict[str, Any], screenshots: Path
) -> None:
    browser = browse(f"recipe/{record['raw_uid']}/{record['id']}", dark=True)
    planned(browser)

    Select(browser.find_element(By.ID, "field-shape")).select_by_value("sectors")
    until(lambda: "°" in text(browser, ".recipe-side table"), lambda: text(browser, ".recipe-side"))
    typed(browser, "field-rois-0-angles-num", "3")
    until(lambda: '"num": 3' in written(browser))
    planned(browser)
    outlined(browser)
    browser.save_screenshot(str(screenshots / "recipe-sectors.png"))
    assert violations(browser) == []
    browser.find_element(By.CSS_SELECTOR, "#analysis .button.primary").click()

    until(lambda: "#recipe" not in browser.current_url, lambda: text(browser, "#analysis"))
    new = api.get(f"/analyses/{browser.current_url.split('#')[1]}").json()
    assert new["request"]["rois"][0]["kind"] == "qphi"
    assert new["request"]["rois"][0]["angles"]["num"] == 3
    assert complaints(browser) == []


def test_recipe_of_a_run_begins_with_that_of_the_site(browse: Browse, record: dict[str, Any]) -> None:
    browser = browse(record["id"])
    until(lambda: len(shown(browser, "#runs .button")) > 0)

    browser.find_element(By.CSS_SELECTOR, "#runs .button").click()

    planned(browser)
    assert f"#recipe/{record['raw_uid']}" in browser.current_url
    assert '"edges"' in written(browser)
    assert violations(browser) == []


def test_recipe_fits_a_small_screen(browse: Browse, record: dict[str, Any], screenshots: Path) -> None:
    browser = browse(f"recipe/{record['raw_uid']}", size="500,900")
    planned(browser)
    outlined(browser)
    browser.save_screenshot(str(screenshots / "recipe-small.png"))

    width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")

    assert width <= window


def marked(browser: webdriver.Chrome) -> int:
    """How many lines lie over the two-time correlation functions."""
    script = "return document.querySelector('#analysis .plot').layout.shapes?.length ?? 0"
    return int(browser.execute_script(script))


def click_picture(browser: webdriver.Chrome, x: float, y: float) -> None:
    """Click on the first picture, at a part of its width and height from the lower left."""
    pane = browser.find_element(By.CSS_SELECTOR, "#analysis .plot .draglayer .xy .nsewdrag")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pane)
    size = pane.size
    across, down = round((x - 0.5) * size["width"]), round((0.5 - y) * size["height"])
    hand = ActionChains(browser).move_to_element_with_offset(pane, across - 4, down)
    hand.pause(0.3).move_by_offset(4, 0).pause(0.3).click().perform()


def test_click_on_a_picture_shows_the_curve_of_that_age(
    browse: Browse, record: dict[str, Any], screenshots: Path
) -> None:
    browser = browse(record["id"])
    drawn(browser, 6)
    age = Select(browser.find_element(By.CSS_SELECTOR, "select[aria-label='Age of the curve']"))
    assert len(age.options) == 3

    click_picture(browser, 0.8, 0.9)
    until(lambda: marked(browser) == 9, lambda: text(browser, "#analysis"))
    until(lambda: "Γ" in text(browser, "#analysis .pair .reason"))
    assert age.first_selected_option.text == age.options[2].text
    browser.save_screenshot(str(screenshots / "age.png"))
    click_picture(browser, 0.9, 0.8)
    until(lambda: marked(browser) == 0)
    age.select_by_index(1)
    until(lambda: marked(browser) == 9)
    assert "from 0 s" in text(browser, "#analysis .pair .reason")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)

    until(lambda: marked(browser) == 0)
    until(lambda: age.first_selected_option.text == "whole scan")
    assert complaints(browser) == []


def waiting(browser: webdriver.Chrome) -> list[str]:
    """Ids of those that the page shows to wait, the next one first."""
    script = "return [...document.querySelectorAll('#queue .link')].map((one) => one.dataset.key.split(' ')[1])"
    return list(browser.execute_script(script))


@pytest.fixture
def paused(api: httpx.Client) -> Iterator[None]:
    """A queue that begins nothing, and is empty and open again afterwards."""
    assert api.post("/queue/pause").json()["paused"]
    yield
    for one in api.get("/queue").json()["waiting"]:
        api.post(f"/analyses/{one}/cancel")
    api.post("/queue/resume")


@pytest.mark.usefixtures("paused")
def test_queue_is_shown_reordered_and_resumed(
    browse: Browse, api: httpx.Client, record: dict[str, Any], screenshots: Path
) -> None:
    recipes = [{"rois": record["request"]["rois"], "fit": {"ages": ages}} for ages in (5, 6, 7)]
    asked = [api.post("/analyses", json={"uid": record["raw_uid"], "recipe": one}).json()["id"] for one in recipes]
    browser = browse(record["id"])
    until(lambda: waiting(browser) == asked, lambda: text(browser, "body"))
    browser.save_screenshot(str(screenshots / "queue.png"))
    assert "Paused" in text(browser, "#queue-section")
    assert violations(browser) == []

    browser.find_element(By.CSS_SELECTOR, f"[data-key='Next {asked[2]}']").click()
    until(lambda: waiting(browser) == [asked[2], asked[0], asked[1]], lambda: text(browser, "#queue"))
    assert api.get("/queue").json()["waiting"] == [asked[2], asked[0], asked[1]]
    browser.find_element(By.CSS_SELECTOR, f"[data-key='Cancel {asked[1]}']").click()
    until(lambda: waiting(browser) == [asked[2], asked[0]], lambda: text(browser, "#queue"))
    assert api.get(f"/analyses/{asked[1]}").json()["status"] == "cancelled"
    browser.find_element(By.ID, "queue-pause").click()

    until(lambda: browser.find_element(By.ID, "queue-section").get_attribute("hidden") is not None)
    assert api.get("/queue").json()["paused"] is False
    assert complaints(browser) == []
