"""The page of a service that has nothing to show yet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from tests.browser.conftest import complaints, text
from tests.waiting import until
from tests.writing import Writing

from twotime.settings import Settings

pytestmark = pytest.mark.timeout(900)


def test_page_opened_before_the_first_scan_shows_it_without_a_click(
    browse: Callable[..., webdriver.Chrome], beamline: tuple[Settings, Any, Path]
) -> None:
    browser = browse()
    until(lambda: "None yet." in text(browser, "#analyses"))

    with Writing(*beamline, sample="the very first", scan_id=1, frame_rate=8.0):
        until(lambda: browser.title == "live · twotime", lambda: text(browser, "body"))
        until(lambda: "the very first" in text(browser, "#analysis"), lambda: text(browser, "body"))

    until(lambda: browser.title == "the very first · twotime", lambda: text(browser, "body"))
    assert complaints(browser) == []
