"""Series on the page: temperature found by itself, laws, curves, ticking, an address that leads back, growth."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from tests.browser.conftest import complaints, shown, text
from tests.browser.test_page import click, drawn, violations
from tests.publishing import ENERGY, publish
from tests.waiting import until
from tests.writing import write

from twotime.settings import Settings

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]
SAMPLE = "colloid in a furnace"
TEMPERATURES = (285.0, 300.0, 310.0, 320.0, 330.0)


@pytest.fixture(scope="module")
def furnace(beamline: tuple[Settings, Any, Path]) -> list[str]:
    """Ids of analyses of one sample at rising temperature."""
    settings, _, _ = beamline
    return [
        publish(settings, 300 + k, one, sample=SAMPLE, seed=k, started=1.795e9 + 600 * k)
        for k, one in enumerate(TEMPERATURES)
    ]


def choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    """Choose in one of the controls of the series, once it offers the value."""
    until(lambda: shown(browser, f".controls [name={name}] option[value='{value}']"), lambda: text(browser, ".main"))
    Select(browser.find_element(By.CSS_SELECTOR, f".controls [name={name}]")).select_by_value(value)


def heading(browser: webdriver.Chrome, words: str) -> None:
    until(lambda: words in text(browser, ".main h3"), lambda: text(browser, ".main"))


@pytest.mark.parametrize(
    ("name", "size", "dark"),
    [("desk", "1440,900", False), ("desk-dark", "1440,900", True), ("phone", "420,900", False)],
)
def test_series_answers_against_temperature_at_one_look(
    browse: Browse, furnace: list[str], screenshots: Path, name: str, size: str, dark: bool
) -> None:
    browser = browse("series~sample=colloid+in+a+furnace&x=temperature&law=arrhenius", size=size, dark=dark)
    drawn(browser, 2)
    until(lambda: "E = " in text(browser, ".laws"), lambda: text(browser, ".main"))
    browser.save_screenshot(str(screenshots / f"series-{name}.png"))

    energies = [float(line.split("E = ")[1].split(" ")[0]) for line in text(browser, ".laws").split("\n") if line]
    assert len(energies) == 3
    assert all(abs(one - ENERGY) < 5 for one in energies)
    assert f"{len(TEMPERATURES)} scans" in text(browser, ".main .title")
    assert len(shown(browser, "table[aria-label='Scans of the series'] tbody tr")) == len(furnace)
    assert violations(browser) == []
    assert complaints(browser) == []
    if name.startswith("desk"):
        next(one for one in shown(browser, ".actions .button") if one.text == "Copy as Python").click()
        until(lambda: 'sample="colloid in a furnace", x="temperature"' in text(browser, "#message"))
        assert 'series.plot("relaxation_rate", law="arrhenius")' in text(browser, "#message")
        plot = browser.execute_script("return document.querySelector('.laws').getBoundingClientRect().bottom")
        assert plot <= browser.execute_script("return innerHeight")
    else:
        browser.execute_script("document.querySelectorAll('.card')[1].scrollIntoView()")
        browser.save_screenshot(str(screenshots / f"series-{name}-curves.png"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_temperature_is_offered_and_the_address_holds_the_view(
    browse: Browse, furnace: list[str], screenshots: Path
) -> None:
    browser = browse(furnace[0])
    until(lambda: shown(browser, ".actions .button"), lambda: text(browser, ".main"))
    next(one for one in shown(browser, ".actions .button") if one.text == "Series").click()
    heading(browser, "Γ against scan")

    choose(browser, "x", "baseline.temperature")
    heading(browser, "Γ against temperature")
    choose(browser, "y", "diffusion")
    heading(browser, "D against temperature")
    choose(browser, "law", "power")
    until(lambda: "exponent = " in text(browser, ".laws"), lambda: text(browser, ".main"))
    address = browser.current_url
    browser.save_screenshot(str(screenshots / "series-diffusion.png"))

    browser.get("about:blank")
    browser.get(address)
    heading(browser, "D against temperature")
    until(lambda: "exponent = " in text(browser, ".laws"), lambda: text(browser, ".main"))


def test_colours_by_scan_show_the_law_of_q(browse: Browse, furnace: list[str], screenshots: Path) -> None:
    assert furnace
    browser = browse("series~sample=colloid+in+a+furnace&x=temperature&by=scan&scaled=1")
    heading(browser, "Γ against q²")
    drawn(browser, 2)
    browser.save_screenshot(str(screenshots / "series-by-scan.png"))
    names = browser.execute_script("return document.querySelector('.main .plot').data.map((one) => one.name)")
    assert names[0] == "285 K"
    axis = "return document.querySelectorAll('.main .plot')[1].layout.xaxis.title.text"

    assert browser.execute_script(axis) == "lag × q² (s/Å²)"
    curves = browser.find_element(By.CSS_SELECTOR, "[aria-label='Curves']")
    Select(curves).select_by_visible_text("scan 302, all q")
    until(
        lambda: len(browser.execute_script("return document.querySelectorAll('.main .plot')[1].data")) == 6,
        lambda: browser.current_url,
    )


def test_ticked_scans_are_a_series_and_none_says_why(browse: Browse, furnace: list[str], done: str) -> None:
    browser = browse(done)
    until(lambda: len(shown(browser, "#analyses .item")) >= len(furnace))
    click(browser, "#tick")
    for one in furnace[1:4]:
        until(lambda one=one: shown(browser, f"[data-key='tick {one}']"))
        click(browser, f"[data-key='tick {one}']")
    until(lambda: text(browser, "#ticked") == "Series of 3 ticked")
    click(browser, "#ticked")

    until(lambda: "3 scans" in text(browser, ".main .title"), lambda: text(browser, ".main"))
    browser.execute_script("location.hash = 'series~sample=nothing'")
    until(lambda: "No finished analysis fits" in text(browser, ".main .notes"), lambda: text(browser, ".main"))
    assert len(complaints(browser)) == 1  # The browser itself tells of the 404.


def test_series_grows_while_scans_come_in_and_leaves_out_bad_ones(
    browse: Browse, beamline: tuple[Settings, Any, Path], done: str, api: httpx.Client, screenshots: Path
) -> None:
    settings, _, folder = beamline
    assert api.get(f"/analyses/{done}").json()["sample"] == "finished scan"
    browser = browse("series~sample=finished+scan")
    until(lambda: "1 scan" in text(browser, ".main .title"), lambda: text(browser, ".main"))

    options = {"shape_style": "frames", "detector": "camera", "sample": "finished scan", "scan_id": 42}
    write(settings, folder / "more", options)

    until(lambda: "2 scans" in text(browser, ".main .title"), lambda: text(browser, ".main"))
    browser.execute_script(f"location.hash = '{done}'")
    until(lambda: shown(browser, ".mark-form"))
    browser.find_element(By.CSS_SELECTOR, "[aria-label='Note on the scan']").send_keys("beam lost\n")
    until(lambda: "beam lost" in text(browser, "#analyses .marked"), lambda: text(browser, "#analyses"))
    Select(browser.find_element(By.CSS_SELECTOR, "[aria-label='Mark of the scan']")).select_by_value("bad")
    until(lambda: "✗ bad: beam lost" in text(browser, "#analyses .marked"), lambda: text(browser, "#analyses"))
    drawn(browser, 6)
    browser.save_screenshot(str(screenshots / "marked.png"))
    browser.execute_script("location.hash = 'series~sample=finished+scan'")
    until(lambda: "1 scan, 1 marked as bad left out" in text(browser, ".main .title"), lambda: text(browser, ".main"))
    assert complaints(browser) == []


@pytest.fixture(scope="module")
def repeats(beamline: tuple[Settings, Any, Path]) -> None:
    """Six scans of a sample that are alike, and one that is not."""
    settings, _, _ = beamline
    for k in range(6):
        publish(settings, 340 + k, 300.0 + k, sample="repeats", seed=k)
    publish(settings, 350, 300.0, sample="repeats", seed=9, place=(1.9, 2.2))


@pytest.mark.usefixtures("repeats")
@pytest.mark.parametrize(("name", "dark"), [("desk", False), ("dark", True)])
def test_map_shows_the_scan_that_is_unlike_the_others(browse: Browse, screenshots: Path, name: str, dark: bool) -> None:
    browser = browse("series~sample=repeats", size="1440,1400", dark=dark)
    drawn(browser, 3)
    dots = "return document.querySelector('.map .plot').data.map((one) => one.x.length)"

    until(lambda: browser.execute_script(dots) == [0, 21], lambda: text(browser, ".main"))
    assert "21 ROIs of 7 scans" in text(browser, ".main .map-words")
    assert "Scan 350 is unlike the earlier scans of repeats" in text(browser, ".main .notes.few")
    browser.execute_script("document.querySelector('.map').scrollIntoView({block: 'center'})")
    last = shown(browser, ".map .plot .points path")[-1]
    ActionChains(browser).move_to_element(last).perform()
    until(lambda: "Scan 350, ROI 3" in text(browser, ".map .dot"), lambda: text(browser, ".map"))
    browser.save_screenshot(str(screenshots / f"map-{name}.png"))
    assert violations(browser) == []
    Select(browser.find_element(By.CSS_SELECTOR, "[aria-label='Colour of the dots']")).select_by_value("time")
    bar = "return document.querySelector('.map .plot').data[1].marker.colorbar.title.text"
    until(lambda: browser.execute_script(bar) == "start of the scan")
    last = shown(browser, ".map .plot .points path")[-1]  # The plot has been drawn anew.
    ActionChains(browser).move_to_element(last).click().perform()
    until(lambda: "roi=3" in browser.current_url, lambda: browser.current_url)


def test_map_shows_the_two_time_function_of_a_dot(browse: Browse, done: str, screenshots: Path) -> None:
    browser = browse(f"series~id={done}", size="1440,1400")
    drawn(browser, 3)
    browser.execute_script("document.querySelector('.map').scrollIntoView({block: 'center'})")
    until(lambda: shown(browser, ".map .plot .points path"))
    ActionChains(browser).move_to_element(shown(browser, ".map .plot .points path")[0]).perform()

    until(lambda: "Scan 41, ROI" in text(browser, ".map .dot"), lambda: text(browser, ".map"))
    until(lambda: browser.execute_script("return document.querySelector('.map img').naturalWidth") > 0)
    browser.save_screenshot(str(screenshots / "map-dot.png"))
    assert complaints(browser) == []


def test_name_of_a_sample_is_text_wherever_it_stands(browse: Browse, beamline: tuple[Settings, Any, Path]) -> None:
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=2</script>\x07=1+1'
    settings, _, _ = beamline
    one = publish(settings, 390, 300.0, sample=evil, seed=1)
    shown_name = evil.replace("\x07", "")
    browser = browse(f"series~id={one}")
    until(lambda: "1 scan" in text(browser, ".main .title"), lambda: text(browser, ".main"))
    drawn(browser, 2)

    browser.execute_script("location.hash = 'series~when=&first_scan_id=390&last_scan_id=390'")
    until(lambda: shown_name[:20] in text(browser, "[aria-label='Scans of the series']"))
    until(lambda: "onerror" in text(browser, "#analyses"))
    assert browser.execute_script("return window.hit ?? null") is None
    assert browser.execute_script("return document.querySelectorAll('img[src=\"x\"]').length") == 0
    inline = "const s = document.createElement('script'); s.textContent = 'window.hit = 3'; document.body.append(s)"
    browser.execute_script(inline)
    assert browser.execute_script("return window.hit ?? null") is None, "the policy lets code of a page run"
