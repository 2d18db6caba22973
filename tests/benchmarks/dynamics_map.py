"""The map of dynamics: do like dynamics lie together on it, and does a scan of another kind stand out?

    python tests/benchmarks/dynamics_map.py [ROIS_OF_A_KIND] [SAMPLES]

Not a test. Two tables of simulated scans whose photons, contrast, pixels and rates are drawn at random:

- single ROIs of six kinds: the share of them whose five nearest neighbours on the map are mostly of their own kind;
- samples of simple diffusion, eight scans of four rings each, then one more scan of each kind: how often that is called
  unlike the earlier ones. Of diffusion this is a false alarm.
"""

import sys

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from twotime.columns import PLACE
from twotime.pipeline.one_roi import LONGEST_LAG, fitted_lags
from twotime.series import Field, Series
from twotime.series.dynamics_map import UNLIKE, dynamics_map
from twotime.simulate.speckle import mode_weights
from twotime.xpcs import fit_decay, one_time
from twotime.xpcs.correlate import two_time

KINDS = ("diffusion", "ballistic", "ageing x3", "static", "oscillating", "beam moves")
N_FRAMES = 200
NEIGHBOURS = 5
EARLIER, RINGS = 8, 4


def simulated(kind: str, rate: float, contrast: float, counts: float, pixels: int, rng: np.random.Generator) -> NDArray:
    """Counts (N, P) of a ROI; `rate` per frame, at the start of the scan."""
    frame = np.arange(N_FRAMES)
    clock = rate * (N_FRAMES / 2 * np.log1p(2 * frame / N_FRAMES) if kind == "ageing x3" else frame)
    apart = np.abs(clock[:, None] - clock)
    field = np.exp(-(apart ** (1.8 if kind == "ballistic" else 1.0)))
    if kind == "static":
        field = np.ones_like(field)
    if kind == "oscillating":
        field = field * np.cos(np.pi * np.abs(frame[:, None] - frame) / rng.uniform(8, 25))
    factor = np.linalg.cholesky(field + 1e-6 * np.eye(N_FRAMES)).astype(np.float32)
    intensity = _intensity(factor, contrast, pixels, rng)
    if kind == "beam moves":
        away = _intensity(factor, contrast, pixels, rng)
        lengths = rng.integers(6, 25, N_FRAMES)
        moved = (np.repeat(np.arange(len(lengths)), lengths)[:N_FRAMES] % 2).astype(bool)
        intensity[moved] = away[moved]
    return rng.poisson(counts * intensity).astype(np.uint16)


def _intensity(factor: NDArray, contrast: float, pixels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    found = np.zeros((N_FRAMES, pixels), np.float32)
    for weight in mode_weights(contrast):
        for _ in ("real part", "imaginary part"):
            found += np.float32(weight / 2) * (factor @ rng.standard_normal((N_FRAMES, pixels), np.float32)) ** 2
    return found


def place(counts: NDArray, ensemble: Ensemble) -> tuple[float, ...]:
    """Coordinates and their errors, as an analysis publishes them."""
    c2 = two_time(counts)
    lag = fitted_lags(int(LONGEST_LAG * N_FRAMES))
    curve = one_time(c2, max_lag=int(lag[-1]))
    rate = float(fit_decay(lag, curve.g2[None, lag - 1], curve.error[None, lag - 1]).relaxation_rate[0])
    denoised = ensemble.denoise(c2, whole=False, rate_per_frame=rate if rate > 0 else None)
    return (*denoised.place, *denoised.place_error)


def even(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between these, even in its logarithm."""
    return float(low * (high / low) ** rng.random())


def of_kinds(number: int, ensemble: Ensemble) -> pd.DataFrame:
    """Single ROIs of every kind."""
    rows = []
    for kind in KINDS:
        for seed in range(number):
            rng = np.random.default_rng([KINDS.index(kind), seed])
            rate, contrast, counts = even(rng, 0.015, 0.1), even(rng, 0.1, 0.3), even(rng, 0.1, 2)
            counts_of = simulated(kind, rate, contrast, counts, int(even(rng, 800, 3000)), rng)
            rows.append((kind, *place(counts_of, ensemble)))
    return pd.DataFrame(rows, columns=["kind", *_COLUMNS])


def purity(dots: pd.DataFrame) -> pd.Series:
    """For each kind the share of ROIs whose nearest neighbours are mostly of that kind."""
    places = dots[[*PLACE]].to_numpy()
    away = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(away, np.inf)
    near = dots["kind"].to_numpy()[np.argsort(away, axis=1)[:, :NEIGHBOURS]]
    most = [pd.Series(row).mode()[0] for row in near]
    return (dots["kind"] == most).groupby(dots["kind"]).mean()[[*KINDS]]


def called_unlike(sample: int, ensemble: Ensemble) -> tuple[list[bool], dict[str, float]]:
    """Of one sample: which of the earlier scans were called unlike those before, and the distance of each last scan."""
    rng = np.random.default_rng([1000, sample])
    slowest, contrast, counts = even(rng, 0.008, 0.025), even(rng, 0.1, 0.3), even(rng, 0.1, 2)

    def scan(kind: str) -> list[tuple[float, ...]]:
        # Scans of one sample differ a little: temperature, exposure, thickness.
        rate, seen = slowest * even(rng, 0.8, 1.25), counts * even(rng, 0.7, 1.4)
        rings = (1.0, 1.5, 2.2, 3.2)
        return [place(simulated(kind, rate * ring, contrast, seen, 1500, rng), ensemble) for ring in rings]

    earlier = [scan("diffusion") for _ in range(EARLIER)]
    alarms = dynamics_map(_series(earlier)).scans["unlike"].tolist()
    return alarms, {kind: dynamics_map(_series([*earlier, scan(kind)])).scans["distance"].iloc[-1] for kind in KINDS}


_COLUMNS = (*PLACE, *(f"{name}_error" for name in PLACE))


def _series(scans: list[list[tuple[float, ...]]]) -> Series:
    rows = pd.DataFrame([one for scan in scans for one in scan], columns=[*_COLUMNS])
    rows.insert(0, "analysis_id", np.repeat([f"a{k}" for k in range(len(scans))], RINGS))
    rows = rows.assign(scan_id=rows["analysis_id"].str[1:].astype(int), roi=np.tile(np.arange(RINGS) + 1, len(scans)))
    table = pd.DataFrame({"analysis_id": [f"a{k}" for k in range(len(scans))], "time": np.arange(float(len(scans)))})
    table = table.assign(sample="sample", rate_change=np.nan, rate_change_error=np.nan)
    return Series(Field("scan_id", "1", 0, len(scans) - 1.0, len(scans)), (), table, rows, (), 0)


def main() -> None:
    number, samples = (int(one) for one in (sys.argv[1:3] if len(sys.argv) > 2 else ("40", "20")))
    ensemble, console = Ensemble.load(), Console()
    dots = of_kinds(number, ensemble)
    found = [called_unlike(sample, ensemble) for sample in range(samples)]
    table = Table("kind", "mostly its own kind around it", f"called unlike (median distance, limit {UNLIKE:g})")
    own = purity(dots)
    for kind in KINDS:
        away = np.array([distances[kind] for _, distances in found])
        table.add_row(kind, f"{own[kind]:.0%}", f"{np.mean(away > UNLIKE):.0%} ({np.median(away):.1f})")
    console.print(table)
    alarms = [one for earlier, _ in found for one in earlier[3:]]
    console.print(
        f"All kinds together: {own.mean():.0%}. False alarms among earlier scans: {sum(alarms)} of {len(alarms)}."
    )


if __name__ == "__main__":
    main()
