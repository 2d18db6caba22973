"""The service beside a Tiled with proposals: a run of proposal A with its analysis and its live view."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from tests.guarded import BEAMLINE, SERVICE, GuardedTiled
from tests.waiting import until
from tests.writing import FRAMES, GEOMETRY, RINGS

from twotime.api.server import Server
from twotime.catalog.results.live_scans import LiveSink
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.server.tiled_client import opened_root, raw_catalog, results_container
from twotime.simulate.beamline import Scan, write_scan

SAMPLE = "secret of proposal A"
SCAN_ID = 4242
DENOISED = {"kind": "frames", "frames": {"sum": 30}, "regions": [{"rows": [4, 12], "columns": [4, 12]}]}


@dataclass(frozen=True)
class Site:
    """A server of Tiled, the service beside it, and a run of proposal A with its analyses and its live view."""

    tiled: GuardedTiled
    server: Server
    run: str
    analysis: str
    frames_analysis: str

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """A client of the service."""
        shown = headers if key is None else {"X-API-Key": key}
        return httpx.Client(base_url=self.server.url, headers=shown, timeout=60)

    def analysed(self, uid: str, recipe: dict[str, Any] = RINGS) -> str:
        """Have a run analysed; returns the id of its analysis."""
        with self.client(self.server.key) as client:
            answer = client.post("/api/v1/analyses", json={"uid": uid, "recipe": recipe})
            assert answer.status_code == 202, answer.text
            one = f"/api/v1/analyses/{answer.json()['id']}"
            until(lambda: client.get(one).json()["status"] in ("done", "failed"), lambda: client.get(one).text)
            assert client.get(one).json()["status"] == "done", client.get(one).text
        return str(answer.json()["id"])

    def write(self, **metadata: Any) -> str:
        """Write a run as the beamline does; returns its uid."""
        with opened_root(self.tiled.settings(BEAMLINE)) as root:
            scan = Scan("camera", layout="frames", metadata=metadata)
            return write_scan(root["raw"], FRAMES[:60], GEOMETRY, self.tiled.detector_folder, scan)


@contextmanager
def site_beside(tiled: GuardedTiled, var_dir: Path) -> Iterator[Site]:
    """The service that accepts keys of this Tiled, with one finished analysis of proposal A."""
    settings = tiled.settings(
        SERVICE,
        port=0,
        automatic=False,
        var_dir=var_dir,
        threads_per_worker=1,
        tiled_keys=True,
        trusted_proxies=["127.0.0.1"],
        detector_dirs=[tiled.detector_folder],
    )
    with Server(settings) as server:
        made = Site(tiled, server, "", "", "")
        with made.client(server.key) as client:
            until(lambda: client.get("/readyz").status_code == 200, lambda: client.get("/readyz").text)
        uid = made.write(tiled_access_tags=["proposal_a"], sample=SAMPLE, scan_id=SCAN_ID)
        analysis, frames = made.analysed(uid), made.analysed(uid, DENOISED)
        follow(tiled, uid)
        yield Site(tiled, server, uid, analysis, frames)


def follow(tiled: GuardedTiled, uid: str, sample: str = SAMPLE) -> None:
    """Write the node of a live scan, as its session does."""
    settings = tiled.settings(SERVICE)
    with opened_root(settings) as root:
        facts = run_facts(find_run(raw_catalog(root, settings), uid))
        described = {
            "scan_id": SCAN_ID,
            "sample": sample,
            "detector": "camera_image",
            "state": "running",
            "message": "",
        }
        counts = {"n_frames": 60, "n_shown": 60, "announced": 60, "frame_time_s": 0.01, "warnings": []}
        sink = LiveSink(results_container(root, settings), uid, described | counts, facts.access_tags)
        sink.write(
            {
                "two_time": np.ones((1, 60, 60), np.float32),
                "intensity": np.ones((1, 60), np.float32),
                "mean_frame": np.ones((48, 56), np.float32),
                "g2": np.ones((1, 7, 5), np.float32),
            }
        )
