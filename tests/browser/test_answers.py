"""The page answers at first sight: what the sample does, whether to trust it, and what to measure next."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from tests.browser.conftest import complaints, shown, text
from tests.browser.test_page import drawn, violations
from tests.memory import GEOMETRY, RECIPE, scan
from tests.waiting import until

from twotime.settings import Settings
from twotime.simulate import Defects, with_defects, write_run

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]
PLOTS = 6


@pytest.fixture(scope="module")
def ageing(beamline: tuple[Settings, Any, Path], api: httpx.Client) -> str:
    """Id of the analysis of a scan that slows down, on a detector with a gap."""
    _, raw, folder = beamline
    frames = with_defects(scan("slower", 1000), Defects(gap_rows=((30, 33),)))
    uid = write_run(
        raw,
        frames,
        GEOMETRY,
        folder / "ageing",
        sample="ageing gel",
        scan_id=77,
        shape_style="frames",
        detector="camera",
    )
    recipe = {**RECIPE, "masks": {"from_data": True}}
    record = api.post("/analyses", json={"uid": uid, "recipe": recipe}).json()
    until(lambda: api.get(f"/analyses/{record['id']}").json()["status"] == "done", lambda: api.get("/analyses").text)
    return str(record["id"])


def selected(browser: webdriver.Chrome) -> str:
    return str(browser.execute_script("return document.querySelector('tr[aria-selected=true]')?.dataset.roi"))


@pytest.mark.parametrize(
    ("name", "size", "dark"),
    [("desk", "1440,900", False), ("desk-dark", "1440,900", True), ("phone", "420,900", False)],
)
def test_verdict_is_seen_without_scrolling(
    browse: Browse, ageing: str, screenshots: Path, name: str, size: str, dark: bool
) -> None:
    browser = browse(ageing, size=size, dark=dark)
    drawn(browser, PLOTS)
    until(lambda: browser.execute_script("return document.querySelector('img.frame').naturalWidth") > 0)
    browser.save_screenshot(str(screenshots / f"answers-{name}.png"))

    verdict = text(browser, ".verdict")
    assert "Ages: slower by" in verdict
    assert "Diffusive" in verdict
    place = "return document.querySelector('.verdict').getBoundingClientRect()"
    where = browser.execute_script(place)
    assert where["top"] >= 0
    assert where["bottom"] <= browser.execute_script("return innerHeight")
    assert violations(browser) == []
    assert complaints(browser) == []
    for k, step in enumerate(("table", "plot", "advice")):
        browser.execute_script(
            "document.querySelectorAll('#analysis .card')[arguments[0]].scrollIntoView()", (1, 2, 8)[k]
        )
        browser.save_screenshot(str(screenshots / f"answers-{name}-{step}.png"))


def test_sentence_leads_to_its_picture(browse: Browse, ageing: str) -> None:
    browser = browse(ageing)
    drawn(browser, PLOTS)

    (slower,) = [one for one in shown(browser, ".verdict .sentence") if one.text.startswith("Ages")]
    slower.click()

    until(lambda: "Γ against age" in text(browser, ".card.shown h3"))


def test_advice_says_what_reaches_the_error_that_is_wanted(browse: Browse, ageing: str, api: httpx.Client) -> None:
    browser = browse(ageing)
    drawn(browser, PLOTS)
    asked = {"roi": selected(browser), "relative_error": 0.02}
    found = api.get(f"/analyses/{ageing}/advice", params=asked).json()

    Select(browser.find_element(By.CSS_SELECTOR, "[aria-label='Error of Γ that is wanted']")).select_by_value("0.02")

    until(lambda: text(browser, ".advice") == found["sentence"], lambda: text(browser, ".advice"))
    assert "to 2 %" in found["sentence"]
    assert ("no single change reaches it" in found["sentence"]) == (not found["needed"])
    rows = shown(browser, "[aria-label='What reaches the error that is wanted'] tbody tr")
    assert len(rows) == 1 + len(found["needed"])  # As measured, then each change that reaches it.


def test_colours_show_the_decay_unless_all_values_are_asked_for(browse: Browse, ageing: str) -> None:
    browser = browse(ageing)
    drawn(browser, PLOTS)
    script = "const {cmin, cmax} = document.querySelector('#analysis .plot').layout.coloraxis; return [cmin, cmax]"
    low, high = browser.execute_script(script)
    assert low == pytest.approx(1.0, abs=0.1)
    assert high == pytest.approx(1.2, abs=0.1)

    Select(browser.find_element(By.CSS_SELECTOR, "[aria-label^='Colours']")).select_by_value("values")

    until(lambda: browser.execute_script(script) != [low, high])


def test_link_leads_back_to_roi_age_and_zoom(browse: Browse, ageing: str) -> None:
    age = 0.8
    browser = browse(f"{ageing}~roi=3&age={age}&zoom={quote('0.2,1,0.2,1')}")
    drawn(browser, PLOTS)

    until(lambda: selected(browser) == "3")
    until(lambda: "Age " in text(browser, ".reason"), lambda: text(browser, "#analysis"))
    ranges = "return document.querySelector('#analysis .plot').layout.xaxis.range"
    until(lambda: np.allclose(browser.execute_script(ranges), [0.2, 1.0], atol=0.02))
    (link,) = [one for one in shown(browser, "button") if one.text == "Copy link to this view"]
    link.click()
    until(lambda: f"#{ageing}~roi=3&age=" in text(browser, "#message"), lambda: text(browser, "#message"))


def test_keys_help_and_choose_rois(browse: Browse, ageing: str, screenshots: Path) -> None:
    browser = browse(ageing)
    drawn(browser, PLOTS)
    before = int(selected(browser))

    ActionChains(browser).send_keys("n").perform()
    until(lambda: selected(browser) == str(before + 1))
    ActionChains(browser).send_keys("?").perform()
    until(lambda: "Keyboard" in text(browser, "dialog"))
    browser.save_screenshot(str(screenshots / "answers-help.png"))
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    until(lambda: not shown(browser, "dialog"))


def test_number_is_copied_with_its_error_and_unit(browse: Browse, ageing: str) -> None:
    browser = browse(ageing)
    drawn(browser, PLOTS)

    browser.execute_script("document.querySelector('td.lead .copy').click()")

    until(lambda: "±" in text(browser, "#message") and "1/s" in text(browser, "#message"))
