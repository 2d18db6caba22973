"""A real browser on the page of a real service, which follows and analyses what lands in its Tiled."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from tests.debian import install
from tests.waiting import until
from tests.writing import RINGS, write

from twotime.api.server import Server
from twotime.catalog.server.tiled_client import open_root, raw_catalog
from twotime.settings import Settings

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
KEY = "a_key_for_browsers"


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """Paths of Chromium and its driver, from Debian's packages; tests are skipped where they cannot be had."""
    if shutil.which("chromedriver") is None:
        install(["chromium", "chromium-driver", "fonts-liberation"])
    found = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if found[0] is None or found[1] is None:
        pytest.skip("there is no Chromium; install Debian's packages chromium and chromium-driver")
    return found


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the page are left to be looked at."""
    folder = Path(__file__).parents[2] / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a Tiled of its own, in automatic mode."""
    var = tmp_path_factory.mktemp("browser")
    recipe = var / "recipe.json"
    recipe.write_text(str(RINGS).replace("'", '"'))
    with Server(Settings(port=0, var_dir=var, api_key=KEY, recipe_file=recipe)) as running:
        with httpx.Client(base_url=running.url) as client:
            until(lambda: client.get("/readyz").status_code == 200, lambda: client.get("/readyz").text)
        yield running


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    """A client that shows the key."""
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-API-Key": KEY}, timeout=30) as one:
        yield one


@pytest.fixture(scope="module")
def beamline(server: Server) -> Iterator[tuple[Settings, Any, Path]]:
    """What is needed to write scans into the Tiled of the service."""
    settings = server.app.state.service.settings
    root = open_root(settings)
    yield settings, raw_catalog(root, settings), settings.var_dir / "detector" / "browser"
    root.context.close()


@pytest.fixture(scope="module")
def done(beamline: tuple[Settings, Any, Path], api: httpx.Client) -> str:
    """Id of a finished analysis."""
    settings, _, folder = beamline
    options = {"shape_style": "frames", "detector": "camera", "sample": "finished scan", "scan_id": 41}
    uid = write(settings, folder, options)

    def ended() -> bool:
        found = api.get("/analyses", params={"uid": uid, "status": "done"}).json()
        return any(one["raw_uid"] == uid for one in found["analyses"])

    until(ended, lambda: api.get("/analyses").text)
    found = api.get("/analyses").json()["analyses"]
    return next(one["id"] for one in found if one["raw_uid"] == uid)


@pytest.fixture
def browse(chromium: tuple[str, str], server: Server) -> Iterator[Callable[..., webdriver.Chrome]]:
    """Open the page with the key, in a window of a size, light or dark."""
    opened: list[webdriver.Chrome] = []

    def _browse(hash_: str = "", *, size: str = "1500,1400", dark: bool = False, key: bool = True) -> webdriver.Chrome:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium[0]
        for flag in (*FLAGS, f"--window-size={size}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options=options, service=Driver(chromium[1]))
        opened.append(browser)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        browser.get(f"{server.url}/?api_key={KEY}" if key else server.url)
        if hash_:
            browser.get(f"{server.url}/#{hash_}")
        return browser

    yield _browse
    for browser in opened:
        browser.quit()


def shown(browser: webdriver.Chrome, selector: str) -> list[Any]:
    """Elements that can be seen."""
    return [one for one in browser.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]


def text(browser: webdriver.Chrome, selector: str) -> str:
    """Words of all elements that can be seen."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText).join('\\n')"
    return str(browser.execute_script(script, selector))


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the browser's console has of errors."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
