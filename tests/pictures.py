"""Draws the picture of denoised frames that README shows: ``python -m tests.pictures OUT.png``.

A real service denoises the frames of the demonstration with the shipped weights; Chromium shows its page.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import httpx
from rich.console import Console
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from tests.browser.conftest import FLAGS, KEY
from tests.waiting import until

from twotime.api.server import Server
from twotime.cli.demo_frames import transition_series
from twotime.settings import Settings

ROWS, COLUMNS = (140.5, 66.5), (88.5, 168.5)
"""Part of the frame with the satellite in it."""
WINDOW = "1440,1200"


def analysed(server: Server, key: str) -> str:
    """Write the series into the Tiled of the service, have it denoised, and return the id of the analysis."""
    recipe, write, _ = transition_series()
    settings = server.app.state.service.settings
    uid = write(settings, Console(stderr=True))
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-API-Key": key}, timeout=60) as client:
        analysis = str(client.post("/analyses", json={"uid": uid, "recipe": recipe}).raise_for_status().json()["id"])
        until(lambda: client.get(f"/analyses/{analysis}").json()["status"] == "done")
    return analysis


def draw(server: Server, analysis: str, out: Path) -> None:
    """Take a picture of the card of the frames, with the part around the satellite."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium") or shutil.which("chromium-browser"))
    for flag in (*FLAGS, f"--window-size={WINDOW}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    try:
        browser.get(f"{server.url}/?api_key={KEY}")
        browser.get(f"{server.url}/#{analysis}")
        plot = "const div = document.querySelector('[aria-label=Frames] .plot');"
        until(
            lambda: browser.execute_script(f"{plot} return div?.data?.length ?? 0"),
            lambda: browser.execute_script("return document.body.innerText"),
            60,
        )
        zoom = f"{{'xaxis.range': {list(COLUMNS)}, 'yaxis.range': {list(ROWS)}}}"
        browser.execute_async_script(f"{plot} Plotly.relayout(div, {zoom}).then(() => arguments[0]())")
        # The pixels are drawn square, so that one of both ranges may come out wider.
        until(lambda: browser.execute_script(f"{plot} return div.layout.xaxis4.range[1]") < COLUMNS[1] + 40)
        until(lambda: browser.execute_script(f"{plot} return div.data[0].z.length") > 0)
        card = browser.find_element(By.CSS_SELECTOR, "[aria-label=Frames]")
        browser.execute_script("arguments[0].scrollIntoView()", card)
        card.screenshot(str(out))
    finally:
        browser.quit()


def main() -> None:
    """Start the service, denoise, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        with Server(Settings(port=0, var_dir=var, api_key=KEY, automatic=False)) as server:
            with httpx.Client(base_url=server.url) as client:
                until(lambda: client.get("/readyz").status_code == 200)
            draw(server, analysed(server, KEY), given.out)


if __name__ == "__main__":
    main()
