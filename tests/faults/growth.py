"""Whether a service grows with what it does: ``make faults MODE=growth``.

First many small scans, then one of many frames and ten ROIs, while somebody asks for the state of an analysis. Prints
memory, open files and how long answers took; exits 1 where memory or files grow, or a state takes longer than a second.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from tests.faults.load import busy
from tests.faults.site import KEY, Site, usage
from tests.waiting import until

from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.simulate import write_run
from twotime.xpcs.types import Geometry

EDGE = 512
GEOMETRY = Geometry(255.5, 255.5, 5.0, 1.24, 75e-6, 0.01)
RINGS = {"rois": [{"unit": "pixel", "edges": [[20 * k + 20, 20 * k + 35] for k in range(10)]}], "fit": {"ages": 4}}
MOST_WAIT_S = 1.0
MORE_FILES = 5
MORE_MIB = 150
_WARM = 20
"""Analyses after which every cache has been used."""
_BATCH = 10


class Asking:
    """Somebody who asks for the state of an analysis, again and again.

    Attributes
    ----------
    waited : how long each answer took, s
    wrong : answers that were none
    """

    def __init__(self, client: httpx.Client, analysis_id: str) -> None:
        self.waited: list[float] = []
        self.wrong: list[int] = []
        self._client = client
        self._path = f"/api/v1/analyses/{analysis_id}"
        self._over = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        while not self._over.wait(0.2):
            began = time.monotonic()
            answer = self._client.get(self._path)
            self.waited.append(time.monotonic() - began)
            if answer.status_code != 200:
                self.wrong.append(answer.status_code)

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()

    def told(self) -> str:
        """How long answers took, in words."""
        return (
            f"{len(self.waited)} states asked for: median {statistics.median(self.waited):.3f} s, longest "
            f"{max(self.waited):.3f} s, {len(self.wrong)} wrong"
        )


@contextmanager
def asking(client: httpx.Client, analysis_id: str) -> Iterator[Asking]:
    """Somebody asks meanwhile."""
    one = Asking(client, analysis_id)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one
    finally:
        one.stop()
        thread.join()


def many(site: Site, number: int) -> list[str]:
    """Analyse so many small scans; returns what is wrong."""
    first: tuple[int, int] | None = None
    while len(site.uids) < number:
        for _ in range(min(_BATCH, number - len(site.uids))):
            site.write_scan()
        site.settle()
        memory, files = usage(site.service.pid)
        print(f"{len(site.uids):5d} small analyses: {memory} MiB, {files} files", flush=True)
        if first is None and len(site.uids) >= min(_WARM, number):
            first = memory, files
    assert first is not None
    wrong = [f"open files grew from {first[1]} to {files}"] if files > first[1] + MORE_FILES else []
    return wrong + ([f"memory grew from {first[0]} to {memory} MiB"] if memory > first[0] + MORE_MIB else [])


def large(site: Site, client: httpx.Client, n_frames: int) -> list[str]:
    """Analyse one scan of so many frames and ten ROIs; returns what is wrong."""
    before = usage(site.service.pid)
    with opened_root(site.direct) as root:
        folder = site.tiled.detector_folder
        uid = write_run(raw_catalog(root, site.direct), noise(n_frames), GEOMETRY, folder, detector="camera")
    asked = client.post("/api/v1/analyses", json={"uid": uid, "recipe": RINGS})
    assert asked.status_code == 202, asked.text
    path, peak = f"/api/v1/analyses/{asked.json()['id']}", 0

    def ended() -> dict[str, Any] | None:
        nonlocal peak
        peak = max(peak, usage(site.service.pid)[0])
        state: dict[str, Any] = client.get(path).json()
        return state if state["status"] in ("done", "failed", "cancelled") else None

    state = until(ended, lambda: client.get(path).text, longest_s=7200, every_s=1.0)
    after = usage(site.service.pid)
    print(f"{n_frames} frames of {EDGE} x {EDGE}, ten ROIs: {state['status']}; at most {peak} MiB, then", *after)
    wrong = [] if state["status"] == "done" else [f"the large analysis is {state['status']}: {state['error']}"]
    if after[1] > before[1] + MORE_FILES:
        wrong.append(f"the large analysis left {after[1] - before[1]} files open")
    if after[0] > before[0] + 4 * MORE_MIB:
        wrong.append(f"the large analysis left {after[0] - before[0]} MiB more in memory")
    return wrong


def noise(n_frames: int) -> NDArray[np.uint16]:
    """Frames (n_frames, EDGE, EDGE) of counts that have nothing to do with each other."""
    chance = np.random.default_rng(5)
    frames = np.empty((n_frames, EDGE, EDGE), np.uint16)
    for frame in frames:
        frame[:] = chance.poisson(0.2, frame.shape)
    return frames


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=1000, help="small ones")
    parser.add_argument("--frames", type=int, default=5000, help="of the large one; 0: none")
    parser.add_argument("--load", type=int, default=0, help="other processes that compute meanwhile")
    given = parser.parse_args()
    folder, began = Path(tempfile.mkdtemp(prefix="twotime-growth-")), time.monotonic()
    print(f"logs are in {folder}", flush=True)
    site = Site(folder)
    site.start()
    try:
        site.write_scan()
        known = site.settle()[0].id
        with (
            httpx.Client(base_url=site.address(), headers={"X-API-Key": KEY}, timeout=120) as client,
            busy(given.load),
            asking(client, known) as asked,
        ):
            wrong = many(site, max(given.analyses, 2))
            wrong += large(site, client, given.frames) if given.frames else []
        print(asked.told())
    finally:
        site.stop()
    late = sum(wait > MOST_WAIT_S for wait in asked.waited)
    wrong += [f"{late} of {len(asked.waited)} states took more than {MOST_WAIT_S:g} s"] if late else []
    wrong += [f"{len(asked.wrong)} states were not answered"] if asked.wrong else []
    print(f"wrong {len(wrong)}: {wrong}; {time.monotonic() - began:.0f} s")
    if wrong:
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
