"""How much of the error of a two-time correlation function remains after denoising, over the whole triangle.

    python tests/benchmarks/triangle.py [FRAMES ...]

Not a test. Scans are simulated speckle with a known expectation C2 = C∞ + β f²; fixed seeds, the median of three scans
of each kind. Mean squared errors over all lags from 1 are in units of the raw one's: of the models alone, and moved to
the measured curve where that is certain, as analyses publish it. The rivals are Gaussian smoothing along the diagonals,
and along and across them, each with the widths that are best for this very scan, which only the simulation can know.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter1d

from cnn_ed import Ensemble
from cnn_ed.consistency import consistent
from twotime.pipeline.certainty import measured_curve
from twotime.pipeline.one_roi import LONGEST_LAG, fitted_lags
from twotime.simulate.speckle import mode_weights
from twotime.xpcs import fit_decay, one_time
from twotime.xpcs.correlate import two_time
from twotime.xpcs.onetime import pixel_covariance

FRAMES = (400, 1000, 2000)
SEEDS = (21, 22, 23)
WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True)
class Scan:
    """What is simulated; `rate` and `later` are per frame."""

    name: str
    rate: float
    ageing: str = "none"
    alpha: float = 1.0
    contrast: float = 0.2
    baseline: float = 1.0
    counts: float = 0.1
    pixels: int = 2000
    frames: int | None = None


SCANS = (
    Scan("stationary", 0.03),
    Scan("stationary, slow", 0.005),
    Scan("ageing x3", 0.06, "thrice slower"),
    Scan("step x2", 0.02, "step"),
    Scan("compressed 1.8", 0.03, alpha=1.8),
    Scan("static part", 0.03, baseline=1.05),
    Scan("fast", 0.3),
    Scan("many photons", 0.03, counts=2.0),
    Scan("very many photons", 0.03, counts=10.0),
    Scan("many photons, ageing x3", 0.06, "thrice slower", counts=2.0),
    Scan("many photons, step x2", 0.02, "step", counts=2.0),
    Scan("low contrast", 0.025, alpha=0.77, contrast=0.07, baseline=1.027, counts=0.22, frames=350),
)


def clock_of(scan: Scan, n_frames: int) -> NDArray[np.float64]:
    """The integral of the rate up to each frame."""
    frame = np.arange(n_frames)
    if scan.ageing == "thrice slower":
        return np.asarray(scan.rate * n_frames / 2 * np.log1p(2 * frame / n_frames), np.float64)
    if scan.ageing == "step":
        return scan.rate * (frame + np.maximum(frame - n_frames // 2, 0))
    return scan.rate * frame


def simulated(scan: Scan, n_frames: int, seed: int = 1) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Counts (N, P) and the expectation of their two-time correlation function."""
    rng = np.random.default_rng(seed)
    clock = clock_of(scan, n_frames)
    field = np.exp(-(np.abs(clock[:, None] - clock) ** scan.alpha))
    expected = scan.baseline + scan.contrast * field**2
    factor = np.linalg.cholesky(field + 1e-6 * np.eye(n_frames)).astype(np.float32)
    intensity = np.zeros((n_frames, scan.pixels), np.float32)
    for weight in mode_weights(scan.contrast / scan.baseline):
        for _ in ("real part", "imaginary part"):
            part = factor @ rng.standard_normal((n_frames, scan.pixels), np.float32)
            intensity += np.float32(weight / 2) * part**2
    if scan.baseline > 1:
        shape = 1 / (scan.baseline - 1)
        intensity *= rng.gamma(shape, 1 / shape, scan.pixels).astype(np.float32)
    counts = rng.poisson(scan.counts * intensity).astype(np.uint16)
    return counts, expected.astype(np.float32)


def measured(scan: Scan, n_frames: int, ensemble: Ensemble, seed: int) -> tuple[float, float, float, float, float]:
    """Mean squared errors in units of the raw one: models, denoised, and both rivals; seconds."""
    counts, truth = simulated(scan, n_frames, seed)
    c2 = two_time(counts)
    lag = fitted_lags(int(LONGEST_LAG * n_frames))
    g2 = one_time(c2, max_lag=int(lag[-1])).g2[lag - 1]
    covariance = pixel_covariance(counts, lag)
    fits = fit_decay(lag, g2[None], np.sqrt(np.diag(covariance))[None])
    upper = np.triu_indices(n_frames, 1)
    raw = float(np.mean((c2 - truth)[upper] ** 2))
    began = time.perf_counter()
    denoised = ensemble.denoise(c2, rate_per_frame=float(fits.relaxation_rate[0]))
    curve = measured_curve(lag, g2, covariance, fits, counts, n_frames)
    values, _ = consistent(denoised.values, denoised.spread, denoised.scale, curve)
    took = time.perf_counter() - began
    models, ours = (float(np.mean((one - truth)[upper] ** 2)) / raw for one in (denoised.values, values))
    rotated, known, exact = _along_diagonals(c2), _along_diagonals(np.ones_like(c2)), _along_diagonals(truth)
    weight = known.astype(np.float32)
    along = [_smoothed(rotated, weight, (width,)) for width in WIDTHS]
    best_along = min(float(np.mean((one - exact)[weight > 0] ** 2)) for one in along) / raw
    both = [_smoothed(rotated, weight, (width, across)) for width in WIDTHS[2:] for across in (0.5, 1.0, 2.0, 4.0, 8.0)]
    best_both = min(float(np.mean((one - exact)[weight > 0] ** 2)) for one in both) / raw
    return models, ours, best_along, best_both, took


def _along_diagonals(c2: NDArray[np.float32]) -> NDArray[np.float32]:
    """Diagonals from lag 1 on as rows, centred at equal age; 0 where they have ended."""
    n = len(c2)
    rows = np.zeros((n - 1, n), np.float32)
    for lag in range(1, n):
        rows[lag - 1, lag // 2 : lag // 2 + n - lag] = np.diagonal(c2, lag)
    return rows


def _smoothed(rows: NDArray[np.float32], weight: NDArray[np.float32], widths: tuple[float, ...]) -> NDArray[np.float32]:
    """Gaussian means along (and across) the diagonals of what is there."""
    total, count = rows * weight, weight
    for axis, width in zip((1, 0), widths, strict=False):
        total, count = (gaussian_filter1d(one, width, axis=axis, mode="constant", truncate=3) for one in (total, count))
    return np.divide(total, count, out=np.zeros_like(total), where=count > 1e-6)


def main() -> None:
    console = Console(width=130)
    ensemble = Ensemble.load()
    for n_frames in [int(one) for one in sys.argv[1:]] or FRAMES:
        table = Table(title=f"{n_frames} frames: remaining mean squared error, % of the raw one's", show_edge=False)
        for name in ("scan", "models", "denoised", "Gauss along age, tuned", "Gauss along and across, tuned", "s"):
            table.add_column(name)
        for scan in SCANS:
            each = [measured(scan, scan.frames or n_frames, ensemble, seed) for seed in SEEDS]
            *errors, took = np.median(each, axis=0)
            table.add_row(scan.name, *(f"{100 * one:.3f}" for one in errors), f"{took:.2f}")
        console.print(table)


if __name__ == "__main__":
    main()
