"""The page in a real browser: every view with real data, growth while a scan runs, what is said when things fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from tests.browser.conftest import KEY, complaints, shown, text
from tests.waiting import until
from tests.writing import Writing

from twotime.api.server import Server

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]


def drawn(browser: webdriver.Chrome, number: int) -> None:
    """Wait until so many plots stand there."""
    script = "return document.querySelectorAll('#analysis .plot .plot-container').length"
    until(lambda: browser.execute_script(script) >= number, lambda: text(browser, "#analysis"))


def click(browser: webdriver.Chrome, selector: str) -> None:
    """Click in one step: a list that is drawn anew between finding and clicking leaves nothing to click on."""
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def violations(browser: webdriver.Chrome) -> list[str]:
    """What axe finds wrong for people who see, hear or move differently; plots are pictures by another hand."""
    found = Axe().run(browser, context={"exclude": [[".plot"]]})
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in serious]


def test_finished_analysis_shows_every_view_without_an_error(browse: Browse, done: str, screenshots: Path) -> None:
    browser = browse(done)
    drawn(browser, 6)
    browser.save_screenshot(str(screenshots / "finished.png"))

    assert "finished scan" in text(browser, "#analysis h2")
    rows = shown(browser, "#analysis table:not(.plain) tbody tr")
    assert len(rows) == 2
    assert "±" in rows[0].text
    headings = text(browser, "#analysis h3")
    for name in ("Dynamics", "Two-time correlation", "One-time correlation", "Γ against q²", "Intensity", "Mean frame"):
        assert name in headings
    until(lambda: browser.execute_script("return document.querySelector('img.frame').naturalWidth") > 0)
    assert complaints(browser) == []


def test_roi_is_chosen_by_mouse_and_by_keyboard(browse: Browse, done: str) -> None:
    browser = browse(done)
    drawn(browser, 6)
    first, second = shown(browser, "#analysis table:not(.plain) tbody tr")

    second.click()
    until(lambda: "ROI 2" in text(browser, "#analysis .under"))
    assert second.get_attribute("aria-selected") == "true"
    second.send_keys(Keys.ARROW_UP)

    until(lambda: first.get_attribute("aria-selected") == "true")
    assert browser.switch_to.active_element == first


def test_every_parameter_is_shown_against_q(browse: Browse, done: str, screenshots: Path) -> None:
    browser = browse(done)
    drawn(browser, 6)
    card = browser.find_element(By.XPATH, "//section[.//select[@aria-label='Parameter against q']]")
    points = "return arguments[0].querySelector('.plot').data.map((one) => [one.y.length, one.mode])"

    assert [2, "lines"] in browser.execute_script(points, card)  # D q²
    for name, words in (("beta", "β against q"), ("baseline", "C∞ against q"), ("alpha", "α against q")):
        Select(card.find_element(By.TAG_NAME, "select")).select_by_value(name)
        until(lambda words=words: card.find_element(By.TAG_NAME, "h3").text == words)
        until(lambda: browser.execute_script(points, card) == [[2, "markers"]] * 3)
    browser.execute_script("arguments[0].scrollIntoView()", card)
    card.screenshot(str(screenshots / "against-q.png"))
    assert complaints(browser) == []


def test_third_picture_changes_from_spread_to_difference(browse: Browse, done: str) -> None:
    browser = browse(done)
    drawn(browser, 6)

    browser.find_element(By.CSS_SELECTOR, ".choice label:last-child").click()

    until(lambda: "measured − denoised" in text(browser, "#analysis .plot"))


def test_keyboard_skips_to_the_analysis_and_stays_with_it(browse: Browse, done: str) -> None:
    browser = browse(done)
    drawn(browser, 6)

    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.text == "Skip to the analysis"
    ActionChains(browser).send_keys(Keys.ENTER).perform()

    until(lambda: browser.switch_to.active_element.get_attribute("id") == "analysis")
    until(lambda: browser.current_url.endswith(f"#{done}"), lambda: browser.current_url)
    assert text(browser, "#message") == ""


def test_search_leaves_what_fits(browse: Browse, done: str) -> None:
    browser = browse(done)
    until(lambda: len(shown(browser, "#analyses .item")) > 0)

    browser.find_element(By.ID, "search").send_keys("no such sample")
    until(lambda: "Nothing fits the search." in text(browser, "#analyses"))
    browser.find_element(By.ID, "search").clear()
    browser.find_element(By.ID, "search").send_keys("scan")

    until(lambda: len(shown(browser, "#analyses .item")) > 0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_is_shut_out(browse: Browse, done: str, screenshots: Path, dark: bool) -> None:
    browser = browse(done, dark=dark)
    drawn(browser, 6)
    if dark:
        browser.save_screenshot(str(screenshots / "dark.png"))

    assert violations(browser) == []


def test_small_screen_needs_no_scrolling_sideways(browse: Browse, done: str, screenshots: Path) -> None:
    browser = browse(done, size="500,900")
    drawn(browser, 6)
    browser.save_screenshot(str(screenshots / "small.png"))

    width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")

    assert width <= window


def test_running_scan_grows_and_becomes_its_analysis(
    browse: Browse, beamline: Any, done: str, screenshots: Path
) -> None:
    settings, raw, folder = beamline
    browser = browse(done)
    with Writing(settings, raw, folder, frame_rate=8.0, sample="running scan", scan_id=42) as writing:
        until(lambda: len(shown(browser, "#lives .item")) == 1)
        click(browser, "#lives .item")
        until(lambda: "Dynamics so far" in text(browser, "#analysis"))
        drawn(browser, 4)
        first = seen(browser)
        until(lambda: seen(browser) > first)
        browser.save_screenshot(str(screenshots / "live.png"))
        assert "live" in text(browser, ".title .state")
        assert violations(browser) == []
        uid = writing.uid

    until(lambda: "#live/" not in browser.current_url, lambda: text(browser, "#analysis"))
    assert uid[:8] in browser.current_url
    drawn(browser, 6)
    assert complaints(browser) == []


def seen(browser: webdriver.Chrome) -> int:
    """Frames that the page says to be there."""
    words = text(browser, "#analysis .facts").split()
    return int(words[words.index("frames") + 1])


def test_failed_analysis_says_why(browse: Browse, api: httpx.Client, done: str) -> None:
    uid = next(one["raw_uid"] for one in api.get("/analyses").json()["analyses"] if one["id"] == done)
    recipe = {"rois": [{"unit": "pixel", "edges": [[30, 40]]}], "masks": {"dark_below_mean": 1e6}}
    failing = api.post("/analyses", json={"uid": uid, "recipe": recipe}).json()["id"]

    browser = browse(failing)

    until(lambda: "loosen masks" in text(browser, ".notes.error"), lambda: text(browser, "#analysis"))
    assert "failed" in text(browser, ".title .state")


@pytest.mark.usefixtures("done")
def test_page_without_the_key_asks_for_it_and_lets_in(browse: Browse) -> None:
    browser = browse(key=False)
    browser.find_element(By.ID, "key").send_keys("wrong")
    browser.find_element(By.TAG_NAME, "button").click()
    until(lambda: "This key does not fit." in text(browser, "[role=alert]"))

    browser.find_element(By.ID, "key").send_keys(KEY)
    browser.find_element(By.TAG_NAME, "button").click()

    until(lambda: len(shown(browser, "#analyses .item")) > 0)


def test_page_survives_the_loss_of_tiled(browse: Browse, server: Server, done: str) -> None:
    browser = browse(done)
    drawn(browser, 6)
    until(lambda: text(browser, "#connection") == "live")
    embedded = server.app.state.service._tiled._embedded

    embedded.stop()  # Not killed: it would be launched again at once, and retries would hide so short a loss.

    try:
        until(lambda: "Tiled" in text(browser, "#message"), lambda: text(browser, "body"))
        assert shown(browser, "#analysis table:not(.plain) tbody tr")
    finally:
        embedded.start()
