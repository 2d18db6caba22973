"""twotime beside what is in use: the same work, in one process, one after the other.

    make bench                          all of it
    python tests/benchmarks/peers.py two_time fits ...

Peers by name: pyCHX (`auto_two_Arrayc`, its lmfit models), scikit-beam (`two_time_corr`), the published method of
boost_corr on the CPU, h5py with fancy indexing, scipy's `curve_fit`, the plain networks called one by one. Not tests:
machines are shared, only ratios within one run count.
"""

import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.optimize import OptimizeWarning, curve_fit

from cnn_ed import Ensemble
from twotime.files import EigerSeries
from twotime.files.packed import PackedFrames
from twotime.pipeline import analyse
from twotime.recipe import parse_recipe
from twotime.simulate import EigerFile
from twotime.xpcs import (
    CountMatrix,
    FrameStatistics,
    Geometry,
    RoiPixels,
    TwoTimeAccumulator,
    age_cuts,
    decay,
    fit_decay,
    two_time,
    two_time_route,
)

warnings.simplefilter("ignore")
EIGER_4M = (2167, 2070)
AGES = 50
"""Fits at constant age per ROI in the whole analysis, raw and denoised, of both sides."""
GEOMETRY = Geometry(900.0, 1000.0, 16.0, 1.285, 75e-6, 0.00134)
RNG = np.random.default_rng(0)
Row = tuple[str, str, float, float, str]


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """Shortest of several times, s; the first call, in which things are compiled, does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def once(work: Callable[[], object]) -> float:
    """Time of one call, s."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_two_time() -> list[Row]:
    """2TCF against pyCHX, boost_corr's method and scikit-beam."""
    from pyCHX.chx_correlationc import auto_two_Arrayc
    from skbeam.core.correlation import two_time_corr

    rows: list[Row] = []
    for n, p, rois in ((1000, 5000, 20), (2000, 20_000, 1)):
        counts = RNG.poisson(0.5, (n, p * rois)).astype(np.uint8)
        labels = np.repeat(np.arange(1, rois + 1), p).reshape(1, -1)
        work = f"{n} x {p} x {rois} ROI ({two_time_route(counts[:, :p])})"
        # Each ROI apart, as the route hands them over.
        own = [np.ascontiguousarray(counts[:, k * p : (k + 1) * p]) for k in range(rois)]
        ours = best(lambda own=own: [two_time(one) for one in own])
        as_floats = counts.astype(np.float64)
        theirs = once(lambda d=as_floats, label=labels: auto_two_Arrayc(d, label))
        rows.append((f"2TCF {work}", "pyCHX auto_two_Arrayc", theirs, ours, "10 (3 without int8)"))
        boost = best(lambda own=own: [boost_method(one) for one in own], 1)
        rows.append((f"2TCF {work}", "boost_corr's method, CPU", boost, ours, "5"))
        equal = np.abs(auto_two_Arrayc(as_floats[:, :p], labels[:, :p])[:, :, 0] - two_time(own[0])).max()
        print(f"largest deviation from pyCHX at {n} x {p}: {equal:.1e}")
    n, side = 300, 100
    images = RNG.poisson(0.5, (n, side, side)).astype(np.uint8)
    flat = images.reshape(n, -1)
    ours = best(lambda: two_time(flat))
    theirs = once(lambda: two_time_corr(np.ones((side, side), int), images, n, n + n % 2, 1))
    rows.append((f"2TCF {n} x {side * side}", "scikit-beam two_time_corr", theirs, ours, "500"))
    peak = 2 * 3072**3 / best(lambda a=torch.ones((3072, 3072), dtype=torch.int8): torch._int_mm(a, a.T))
    n, p = 2000, 20_000
    counts = RNG.poisson(0.5, (n, p)).astype(np.uint8)
    share = n**2 * p / best(lambda: two_time(counts)) / peak
    print(f"2TCF {n} x {p}: {100 * share:.0f} % of the measured peak of int8 products ({peak / 1e12:.2f} TOP/s)")
    for n, p in ((500, 5000), (1000, 5000), (2000, 5000), (4000, 5000), (1000, 10_000), (1000, 20_000)):
        counts = RNG.poisson(0.5, (n, p)).astype(np.uint8)
        print(f"growth: N = {n:5d}, P = {p:6d}: {1e3 * best(lambda c=counts: two_time(c)):8.1f} ms")
    growing = TwoTimeAccumulator(5000)
    block = RNG.poisson(0.5, (100, 5000)).astype(np.uint8)
    for n in (100, 1000, 2000, 4000):
        while growing.n_frames < n:
            took = once(lambda: growing.add(block))
        print(f"growing: 100 frames more at {n}: {1e3 * took:6.1f} ms")
    return rows


def boost_method(counts: np.ndarray) -> np.ndarray:
    """As published: float32 product, normalised by frame sums, one-time curve by bincount, upper triangle kept."""
    floats = counts.astype(np.float32)
    sums = floats.sum(axis=1)
    c2 = floats @ floats.T * counts.shape[1] / np.outer(sums, sums)
    lag = np.abs(np.subtract.outer(np.arange(len(c2)), np.arange(len(c2)))).ravel()
    np.bincount(lag, c2.ravel()) / np.bincount(lag)
    upper: np.ndarray = np.triu(c2)
    return upper


def bench_gather() -> list[Row]:
    """Decode and gather 400,000 ROI pixels of Eiger 4M frames, against h5py and fancy indexing.

    Ours also takes sums and maxima of all pixels, from which the mask is found; the peer does not. What it does
    once per scan is shared by 300 frames.
    """
    radius = np.hypot(np.arange(EIGER_4M[0])[:, None] - 900, np.arange(EIGER_4M[1])[None] - 1000)
    labels = np.zeros(EIGER_4M, np.int32)
    for k in range(20):
        inner = 60 + 45 * k
        labels[(radius >= inner) & (radius < inner + 20_000 / (2 * np.pi * inner))] = k + 1
    pixels = RoiPixels(labels)
    n = 300
    rows: list[Row] = []
    for kind, goal in ((np.uint16, "2"), (np.uint32, "4")):
        with tempfile.TemporaryDirectory() as folder:
            series = eiger_series(Path(folder), np.dtype(kind), n)
            flat = np.flatnonzero(labels)
            data_file = next(Path(folder).glob("*_data_000001.h5"))

            def theirs(path: Path = data_file, flat: np.ndarray = flat) -> None:
                with h5py.File(path) as file:
                    for k in range(60):
                        file["entry/data/data"][k].ravel()[flat]

            def ours(series: EigerSeries = series) -> None:
                matrix, statistics = CountMatrix(n, pixels), FrameStatistics()
                for first, block in series.blocks(0, n):
                    assert isinstance(block, PackedFrames)
                    block.count(statistics, matrix, first)

            work = f"decode and gather {len(flat)} px, {np.dtype(kind).name}, per frame"
            rows.append((work, "h5py + fancy indexing", best(theirs) / 60, best(ours) / n, goal))
    return rows


def eiger_series(folder: Path, dtype: np.dtype, n_frames: int) -> EigerSeries:
    """Synthetic Eiger 4M frames: counts that fall with the radius, marks in the gaps, no two frames alike."""
    radius = np.hypot(np.arange(EIGER_4M[0])[:, None] - 900, np.arange(EIGER_4M[1])[None] - 1000)
    mean = 2 / (1 + (radius / 120) ** 1.5)
    some = [RNG.poisson(mean).astype(dtype) for _ in range(20)]
    file = EigerFile(folder, "bench", GEOMETRY, EIGER_4M, dtype, 1000)
    for k in range(n_frames):
        frame = np.roll(some[k % 20], k // 20, axis=1)
        for gap in (slice(514, 551), slice(1065, 1102), slice(1616, 1653), np.s_[:, 1030:1040]):
            frame[gap] = np.iinfo(dtype).max
        file.append(frame[None])
    file.close()
    return EigerSeries(file.master)


def bench_fits() -> list[Row]:
    """1000 fits of four parameters at 49 lags against lmfit as pyCHX uses it; age fits against a loop of curve_fit."""
    from lmfit import Model

    lag = np.arange(1, 50)
    truth = np.stack([RNG.uniform(0.02, 0.2, 1000), RNG.uniform(0.1, 1, 1000), RNG.uniform(0.95, 1.1, 1000)], axis=1)
    curves = np.array([decay(lag, *own, alpha) for own, alpha in zip(truth, RNG.uniform(0.7, 1.8, 1000), strict=True)])
    curves += RNG.normal(0, 0.03, curves.shape)

    # The model, limits and way of get_g2_fit_general, which itself needs packages that no index has.
    limits = {"beta": (0, 4), "relaxation_rate": (1e-4, 2), "alpha": (0.2, 3), "baseline": (0.2, 2.5)}

    def stretched(x: np.ndarray, beta: float, relaxation_rate: float, alpha: float, baseline: float) -> np.ndarray:
        value: np.ndarray = beta * np.exp(-2 * (relaxation_rate * x) ** alpha) + baseline
        return value

    def lmfit_loop(number: int = 100) -> None:
        model = Model(stretched)
        for name, (least, most) in limits.items():
            model.set_param_hint(name, min=least, max=most)
        parameters = model.make_params(beta=0.1, relaxation_rate=0.01, alpha=1.0, baseline=1.0)
        for curve in curves[:number]:
            model.fit(curve, x=lag, params=parameters)

    rows: list[Row] = [
        (
            "1000 fits, 49 lags",
            "lmfit as pyCHX uses it",
            10 * once(lmfit_loop),
            best(lambda: fit_decay(lag, curves)),
            "200",
        )
    ]
    n, number = 1000, 400
    c2 = (1 + 0.2 * np.exp(-0.1 * np.abs(np.subtract.outer(np.arange(n), np.arange(n))))).astype(np.float32)
    c2 += RNG.normal(0, 0.01, (n, n)).astype(np.float32)
    cuts = age_cuts(c2, number)

    def ages() -> None:
        own = age_cuts(c2, number)
        fit_decay(own.lag, own.g2)

    def loop(some: int = 20) -> None:
        bounds = ((1e-4, 0, 0.2, 0.2), (2, 4, 2.5, 3))
        for curve in cuts.g2[:: number // some]:
            own = np.isfinite(curve)
            if own.sum() > 5:
                try:
                    curve_fit(decay, cuts.lag[own], curve[own], p0=(0.01, 0.1, 1.0, 1.0), bounds=bounds)
                except (RuntimeError, OptimizeWarning):
                    continue

    work = f"{number} age fits of a 1000-frame 2TCF, all lags"
    rows.append((work, "curve_fit loop", once(loop) * number / 20, best(ages), "50"))
    return rows


def bench_whole() -> list[Row]:
    """1000 Eiger 4M frames, 20 ROIs of 5000 pixels, from the file to denoised fits, against a chain of peers."""
    from pyCHX.chx_correlationc import auto_two_Arrayc

    n = 1000
    with tempfile.TemporaryDirectory() as folder:
        series = eiger_series(Path(folder), np.dtype(np.uint16), n)
        edges = [[60 + 45 * k, 60 + 45 * k + 5000 / (2 * np.pi * (60 + 45 * k))] for k in range(20)]
        recipe = parse_recipe({"rois": [{"unit": "pixel", "edges": edges}], "fit": {"ages": AGES}})
        ensemble = Ensemble.load()
        analyse(EigerSeries(series.path), recipe, ensemble)  # compiles
        before = memory()
        ours = once(lambda: analyse(EigerSeries(series.path), recipe, ensemble))
        print(f"whole analysis: {memory():.2f} GB at the peak, {before:.2f} GB after the first one")
        flat = np.sort(RNG.permutation(EIGER_4M[0] * EIGER_4M[1])[:100_000])
        data_file = next(Path(folder).glob("*_data_000001.h5"))

        def read() -> None:
            with h5py.File(data_file) as file:
                for k in range(40):
                    file["entry/data/data"][k].ravel()[flat]

        reading = once(read) * n / 40
    counts = RNG.poisson(0.5, (n, 5000)).astype(np.float64)
    labels = np.ones((1, 5000), int)
    correlating = once(lambda: auto_two_Arrayc(counts, labels)) * 20
    windows = torch.from_numpy(RNG.normal(1, 1, (20, 50, 50)).astype(np.float32))
    stack = ensemble_stack()
    denoising = once(lambda: [net(w[None]) for net in stack for w in windows]) / 20 * 191 * 20
    curve = decay(np.arange(1, 50), 0.05, 0.2, 1.0, 1.2) + RNG.normal(0, 0.01, 49)
    bounds = ((1e-4, 0, 0.2, 0.2), (2, 4, 2.5, 3))
    fitting = best(lambda: curve_fit(decay, np.arange(1, 50), curve, p0=(0.01, 0.1, 1, 1), bounds=bounds))
    fitting *= 20 * 2 * (AGES + 1)
    theirs = reading + correlating + denoising + fitting
    print(
        f"chain of peers: read {reading:.1f} s, correlate {correlating:.1f}, denoise {denoising:.1f}, fit {fitting:.1f}"
    )
    return [
        (
            "1000 frames, 20 x 5000 px, file to denoised fits",
            "h5py, pyCHX, plain networks, curve_fit",
            theirs,
            ours,
            "50",
        )
    ]


def ensemble_stack() -> list[torch.nn.Module]:
    """The shipped networks as the paper draws them."""
    import json

    from cnn_ed.ensemble import WEIGHTS
    from cnn_ed.network import EncoderDecoderStack

    ensemble = Ensemble.load()
    card = json.loads((WEIGHTS / ensemble.version / "card.json").read_text())
    stack = EncoderDecoderStack(len(card["files"]), ensemble.architecture)
    stack.load_states([torch.load(WEIGHTS / ensemble.version / name, weights_only=True) for name in card["files"]])
    return [stack.plain(model).eval() for model in range(stack.models)]


def memory() -> float:
    """Peak memory of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


BENCHES = {"two_time": bench_two_time, "gather": bench_gather, "fits": bench_fits, "whole": bench_whole}


def main() -> None:
    """Run what is asked for, or all, and print one table."""
    table = Table("work", "peer", "peer (ms)", "twotime (ms)", "ratio", "at least", show_edge=False)
    with torch.inference_mode():
        for name in sys.argv[1:] or BENCHES:
            for work, peer, theirs, ours, goal in BENCHES[name]():
                table.add_row(work, peer, f"{1e3 * theirs:.1f}", f"{1e3 * ours:.1f}", f"{theirs / ours:.1f}", goal)
    Console(width=160).print(table)
    print(f"{torch.get_num_threads()} threads, hdf5plugin {hdf5plugin.version}, peak memory {memory():.2f} GB")


if __name__ == "__main__":
    main()
