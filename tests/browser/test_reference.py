"""The REST interface as a page: every route, and nothing from elsewhere."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from tests.browser.conftest import KEY, complaints, shown, text

from twotime.api.server import Server

pytestmark = pytest.mark.timeout(900)
Browse = Callable[..., webdriver.Chrome]


def test_reference_shows_every_route_and_asks_nobody_else(browse: Browse, server: Server, screenshots: Path) -> None:
    document = httpx.get(f"{server.url}/openapi.json", headers={"X-API-Key": KEY}).json()
    browser = browse()

    browser.get(f"{server.url}/docs")
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")

    wanted = sorted(f"{method.upper()}\n{path}" for path, all_ in document["paths"].items() for method in all_)
    found = browser.execute_script("return [...document.querySelectorAll('summary')].map((one) => one.innerText)")
    assert sorted("\n".join(one.split("\n")[:2]) for one in found) == wanted
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert asked
    assert all(one.startswith(server.url) for one in asked)
    browser.save_screenshot(str(screenshots / "reference.png"))
    assert "RFC 9457" in text(browser, "main")
    assert len(shown(browser, "pre")) > 10
    serious = [one["id"] for one in Axe().run(browser)["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
    assert complaints(browser) == []
