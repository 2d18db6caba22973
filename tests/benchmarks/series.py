"""How long a series takes, of scans published in a real Tiled, over HTTP.

    python tests/benchmarks/series.py [SCANS] [ROIS]

Writes documents of the runs with a baseline, publishes an analysis of each as the service does, and asks a service that
has just started, then the same service again; with the baseline as x, with a law, and as CSV. The last line asks for
analyses as older versions published them, whose numbers stand in tables alone. Not a test: it takes minutes.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from tests.asking import request, run_facts

from twotime.api.server import Server
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.server.tiled_client import opened_root, raw_catalog, results_container
from twotime.columns import COLUMNS
from twotime.results import Analysis
from twotime.settings import Settings

SAMPLE = "benchmark"
OLDER = "benchmark of older ones"
TURNS = 5


def analysis(scan: int, n_rois: int, sample: str) -> Analysis:
    """An analysis whose table of fits is as wide as a real one."""
    rng = np.random.default_rng(scan)
    fits = pd.DataFrame({name: rng.normal(1.0, 0.1, n_rois) for name in COLUMNS["fits"]})
    fits = fits.assign(roi=np.arange(1, n_rois + 1), q=np.linspace(0.002, 0.02, n_rois), phi=np.nan, trusted=True)
    fits = fits.assign(headline="estimate", flag="")
    row = {"kind": "headline", "diffusion": 1e5 + scan, "diffusion_error": 1e3, "exponent": 2.0, "exponent_error": 0.1}
    return Analysis(
        arrays={"frame_number": np.arange(10)},
        tables={"fits": fits, "q_fit": pd.DataFrame([row])},
        resolved={"sample": sample, "frame_time_s": 0.01, "recipe": {}, "sources": {}},
    )


def write(settings: Settings, scan: int, n_rois: int, sample: str) -> None:
    """One run with its baseline, and its analysis."""
    with opened_root(settings) as root:
        writer = TiledWriter(raw_catalog(root, settings), batch_size=10)
        run = compose_run(metadata={"scan_id": scan, "sample": sample, "attenuation": 0.1 * scan})
        writer("start", run.start_doc)
        key = {"source": "furnace", "dtype": "number", "shape": [], "units": "K"}
        stream = run.compose_descriptor(name="baseline", data_keys={"temperature": key})
        writer("descriptor", stream.descriptor_doc)
        data = {"temperature": 280.0 + 0.2 * scan}
        writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time())))
        writer("stop", run.compose_stop())
        store = AnalysisStore(results_container(root, settings))
        record = store.claim(
            request(store, run_facts(uid=run.start_doc["uid"], sample=sample, scan_id=scan)).id, "b", 0
        )
        assert record is not None
        TiledSink(store, record).publish(analysis(scan, n_rois, sample))
        if sample == OLDER:
            facts = {name: value for name, value in store.get(record.id).facts.items() if name != "headline"}
            store.node(record.id).patch_metadata(metadata_patch=[{"op": "replace", "path": "/facts", "value": facts}])


def seconds(client: httpx.Client, path: str, **params: Any) -> tuple[float, int]:
    """Of one answer, and its length."""
    began = time.perf_counter()
    answer = client.get(path, params={"limit": 1000, **params})
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took, len(answer.content)


def main(n_scans: int = 200, n_rois: int = 20) -> None:
    """Print a line for each question."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, var_dir=Path(folder), automatic=False, api_key="a_key_for_benchmarks")  # type: ignore[arg-type]  # pydantic turns text into a secret
        with Server(settings) as server, httpx.Client(base_url=server.url, timeout=600) as health:
            while health.get("/readyz").status_code != 200:
                time.sleep(0.2)
            inside = server.app.state.service.settings
            for scan in range(1, n_scans + 1):
                write(inside, scan, n_rois, SAMPLE)
            for scan in range(1, max(2, n_scans // 10) + 1):
                write(inside, scan, n_rois, OLDER)
            with httpx.Client(
                base_url=f"{server.url}/api/v1", headers={"X-API-Key": server.key}, timeout=600
            ) as client:
                print(f"{n_scans} scans x {n_rois} ROIs; first answer, then the median of {TURNS}")
                for name, params in (
                    ("against scan number", {}),
                    ("against attenuation (start document)", {"x": "attenuation"}),
                    ("against temperature (baseline)", {"x": "temperature"}),
                    ("with Arrhenius", {"x": "temperature", "law": "arrhenius"}),
                    (f"{max(2, n_scans // 10)} scans of older versions", {"sample": OLDER}),
                ):
                    first, length = seconds(client, "/series", **{"sample": SAMPLE, **params})
                    again = []
                    for _ in range(TURNS):
                        time.sleep(0.6)  # Longer than answers are shared by those who ask at the same time.
                        again.append(seconds(client, "/series", **{"sample": SAMPLE, **params})[0])
                    print(f"{name:40s} {first:6.2f} s {np.median(again):6.2f} s {length / 1e6:6.2f} MB", flush=True)


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
