"""Denoising against the paper's way, one call of the plain network per window and model, in the same process.

    python tests/benchmarks/denoise.py [THREADS]

Not a test. The peer is measured on 40 windows of every model and scaled to all windows; its sliding and averaging,
which would make it slower, are left out.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from cnn_ed.ensemble import WEIGHTS
from cnn_ed.network import EncoderDecoderStack
from cnn_ed.windows import window_starts

FRAMES = (500, 1000, 2000, 4000)
LARGE = 10_000


def measured(n_frames: int) -> np.ndarray:
    """A noisy decay of contrast 0.2."""
    lag = np.abs(np.subtract.outer(np.arange(n_frames, dtype=np.float32), np.arange(n_frames, dtype=np.float32)))
    noise = np.random.default_rng(0).standard_normal((n_frames, n_frames), np.float32) * np.float32(0.1)
    lag *= np.float32(-0.1)
    c2: np.ndarray = 1 + np.float32(0.2) * np.exp(lag, out=lag) + noise + noise.T
    return c2


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of several times, s."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peer(ensemble: Ensemble, windows: np.ndarray) -> float:
    """Time per window of all models called one by one, s."""
    card = json.loads((WEIGHTS / ensemble.version / "card.json").read_text())
    stack = EncoderDecoderStack(len(card["files"]), ensemble.architecture)
    stack.load_states([torch.load(WEIGHTS / ensemble.version / name, weights_only=True) for name in card["files"]])
    networks = [stack.plain(model) for model in range(stack.models)]

    def one_by_one() -> None:
        with torch.inference_mode():
            for network in networks:
                for window in windows:
                    network(torch.from_numpy(window[None]))

    return best(one_by_one, 3) / len(windows)


def resident(name: str) -> float:
    """Memory of this process now (VmRSS) or at its peak (VmHWM), GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1e6 for line in lines if line.startswith(name))


def main() -> None:
    """Print times, ratios and the memory of a large 2TCF."""
    if sys.argv[1:] == ["--large"]:
        c2 = measured(LARGE)
        Ensemble.load().denoise(c2[:200, :200])
        Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
        before = resident("VmRSS")
        Ensemble.load().denoise(c2)
        print(f"{resident('VmHWM') - before:.2f}")
        return
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    ensemble = Ensemble.load()
    c2 = measured(FRAMES[-1])
    ensemble.denoise(c2[:200, :200])
    windows = np.stack([c2[k : k + 50, k : k + 50] for k in range(0, 200, 5)])
    per_window = peer(ensemble, windows)
    table = Table("frames", "windows", "denoise (ms)", "per frame (µs)", "one by one (ms)", "ratio", show_edge=False)
    for n_frames in FRAMES:
        own = c2[:n_frames, :n_frames]
        time_s, number = best(lambda own=own: ensemble.denoise(own)), len(window_starts(n_frames))
        row = (time_s * 1e3, time_s / n_frames * 1e6, per_window * number * 1e3, per_window * number / time_s)
        table.add_row(str(n_frames), str(number), *(f"{value:.1f}" for value in row))
    Console().print(table)
    print(f"{torch.get_num_threads()} threads; peak memory beyond the input and a first small run at {LARGE} frames:")
    done = subprocess.run([sys.executable, __file__, "--large"], capture_output=True, text=True, check=True)
    print(f"{done.stdout.strip()} GB, of which the result holds {LARGE**2 * 9 / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
