"""Analyses published in a real Tiled without frames: scans of a sample in a furnace, whose rate is activated."""

import time
from typing import Any

import numpy as np
import pandas as pd
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from tests.asking import request, run_facts

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.server.tiled_client import opened_root, raw_catalog, results_container
from twotime.recipe import RunFacts
from twotime.results import Analysis
from twotime.series.laws import GAS_CONSTANT
from twotime.settings import Settings

ENERGY = 25.0
"""Of activation, kJ/mol."""
QS = (0.01, 0.02, 0.03)
STARTED = 1.6e9
FRAME_TIME_S = 0.01
LAGS = np.unique(np.geomspace(1, 200, 30).astype(int))
ERROR = 0.04


PLACE = (-0.4, -0.8)
"""On the map of dynamics, of the first ROI; where simple diffusion lies."""
APART = 0.1
"""Between neighbouring ROIs there."""


def analysis_at(
    temperature: float,
    sample: str,
    *,
    seed: int | None = None,
    q: tuple[float, ...] = QS,
    place: tuple[float, float] = PLACE,
) -> Analysis:
    """What an analysis publishes; values scatter by their errors where there is a seed."""
    rng = np.random.default_rng(seed)
    scatter = (lambda size: rng.normal(size=size)) if seed is not None else np.zeros
    qs = np.array(q)
    diffusion = 1e4 * np.exp(-ENERGY / GAS_CONSTANT * (1 / temperature - 1 / 300.0))
    fits = pd.DataFrame({"roi": np.arange(1, len(qs) + 1), "q": qs, "phi": np.nan, "headline": "estimate"})
    for name, value in (("relaxation_rate", diffusion * qs**2), ("beta", 0.2), ("baseline", 1.0), ("alpha", 0.98)):
        error = ERROR * (value if name != "baseline" else 0.02) * np.ones(len(qs))
        fits[name] = value + error * scatter(len(qs))
        fits[f"{name}_error"] = error
    for name, middle in zip(("map_x", "map_y"), place, strict=True):
        fits[name] = middle + APART * np.arange(len(qs)) + 0.05 * scatter(len(qs))
        fits[f"{name}_error"] = 0.05
    fits = fits.assign(trusted=True, flag="")
    g2 = pd.concat([_curve(roi, one, diffusion, scatter) for roi, one in enumerate(qs, 1)], ignore_index=True)
    law = {
        "kind": "headline",
        "n_rois": len(qs),
        "rois": ", ".join(map(str, fits["roi"])),
        "diffusion": diffusion * (1 + 0.02 * float(scatter(1)[0])),
        "diffusion_error": 0.02 * diffusion,
        "exponent": 2.0,
        "exponent_error": 0.1,
        "reason": "",
    }
    return Analysis(
        arrays={"frame_number": np.arange(5), "bad_frames": np.zeros(5, bool)},
        tables={"fits": fits, "g2": g2, "q_fit": pd.DataFrame([law])},
        resolved={"sample": sample, "frame_time_s": FRAME_TIME_S, "recipe": {}, "sources": {}},
    )


def publish(
    settings: Settings,
    scan_id: int,
    temperature: float,
    *,
    sample: str,
    uid: str = "",
    older: bool = False,
    seed: int | None = None,
    started: float = STARTED,
    place: tuple[float, float] = PLACE,
    **changes: Any,
) -> str:
    """Write documents of a run with a baseline, publish an analysis as a worker does; returns its id.

    Parameters
    ----------
    uid : of a run that exists
    older : as versions did that kept the headline numbers in tables alone
    started : start of scan 0; each further one is a second later
    place : of the first ROI on the map of dynamics
    changes : of what the run says of itself
    """
    with opened_root(settings) as root:
        uid = uid or _documents(raw_catalog(root, settings), scan_id, sample, temperature, started + scan_id)
        store = AnalysisStore(results_container(root, settings))
        record = _claimed(store, run_facts(uid=uid, scan_id=scan_id, sample=sample, **changes))
        TiledSink(store, record).publish(analysis_at(temperature, sample, seed=seed, place=place))
        if older:
            before = {name: value for name, value in store.get(record.id).facts.items() if name != "headline"}
            patch = [{"op": "replace", "path": "/facts", "value": before}]
            store.node(record.id).patch_metadata(metadata_patch=patch)
    return str(record.id)


def _claimed(store: AnalysisStore, facts: RunFacts) -> AnalysisRecord:
    """Request an analysis and claim it, also where a service that watches the queue is faster."""
    record = None
    while record is None:
        key = request(store, facts, force=True).id
        record = store.claim(key, "test", store.newest_claim(key).attempt)
    return record


def _curve(roi: int, q: float, diffusion: float, scatter: Any) -> pd.DataFrame:
    lag_s = FRAME_TIME_S * LAGS
    decay = 1 + 0.2 * np.exp(-2 * diffusion * q**2 * lag_s)
    g2 = decay + 0.004 * scatter(len(LAGS))
    known = {"roi": roi, "q": q, "lag_frames": LAGS, "lag_s": lag_s, "g2_raw": g2, "g2_raw_error": 0.004}
    return pd.DataFrame(
        known | {"g2_raw_fit": decay, "g2_denoised": decay, "g2_denoised_error": 0.002, "g2_denoised_fit": decay}
    )


def _documents(raw: Any, scan_id: int, sample: str, temperature: float, started: float) -> str:
    writer = TiledWriter(raw, batch_size=10)
    run = compose_run(metadata={"scan_id": scan_id, "sample": sample, "exposure time": "0.01"}, time=started)
    writer("start", run.start_doc)
    key = {"source": "furnace", "dtype": "number", "shape": [], "units": "K"}
    stream = run.compose_descriptor(name="baseline", data_keys={"temperature": key, "dose": key})
    writer("descriptor", stream.descriptor_doc)
    for change in (-0.5, 0.5):
        data = {"temperature": temperature + change, "dose": float("nan")}
        writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time())))
    writer("stop", run.compose_stop())
    return str(run.start_doc["uid"])
