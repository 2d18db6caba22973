"""Errors of the rate that advice predicts, beside those then found.

    python tests/benchmarks/advice.py [SCANS]

Scans of one ROI are simulated and analysed, advice is asked for, and scans as advised are simulated and analysed as
often. Prints the ratio of the predicted to the found error (medians), and the scatter of the rates found beside it.
Not a test: it takes minutes.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from cnn_ed.posterior.scans import Dynamics, counted, fitted_lags, intensity
from twotime.advice import advice
from twotime.xpcs import fit_decay, one_time, pixel_covariance, two_time
from twotime.xpcs.contrast import contrast_from_counts

CASES = {
    "few photons": Dynamics(200, 1500, 0.05, 0.05, 0.2, 1.0, 1.0),
    "plenty of photons": Dynamics(200, 1000, 2.0, 0.05, 0.2, 1.0, 1.0),
    "slow": Dynamics(300, 1000, 0.3, 0.01, 0.2, 1.0, 1.0),
    "fast": Dynamics(200, 1500, 0.3, 0.3, 0.2, 1.0, 1.0),
    "low contrast": Dynamics(300, 1500, 0.5, 0.05, 0.06, 1.0, 1.0),
    "stretched": Dynamics(300, 1500, 0.3, 0.04, 0.2, 1.0, 0.7),
    "compressed": Dynamics(300, 1500, 0.3, 0.04, 0.2, 1.0, 1.5),
    "scan too short": Dynamics(100, 1500, 0.5, 0.006, 0.2, 1.0, 1.0),
}
CHANGES = (("frames", 4.0), ("flux", 3.0), ("frame_time", 2.0), ("frame_time", 0.5))


def estimate(dynamics: Dynamics, ensemble: Ensemble, rng: np.random.Generator) -> dict[str, Any]:
    """The row of `fits` that matters, in frames."""
    pixels = counted(intensity(dynamics, rng), dynamics.counts, rng)
    lag = fitted_lags(int(0.75 * dynamics.frames))
    g2 = one_time(two_time(pixels)).g2[lag - 1]
    covariance = pixel_covariance(pixels, lag)
    fits = fit_decay(lag, g2[None], sigma=np.sqrt(np.diag(covariance))[None], covariance=covariance[None])
    found = ensemble.estimator.of_curves(
        lag, g2[None], covariance, fits, dynamics.frames, contrast=contrast_from_counts(pixels)
    )
    row: dict[str, Any] = {"roi": 1, "n_pixels": dynamics.pixels, "mean_counts": float(pixels.mean())}
    for name in ("relaxation_rate", "beta", "baseline", "alpha", "relaxation_rate_error", "trusted"):
        row[name] = getattr(found, name)[0]
    return row


def changed(dynamics: Dynamics, change: str, factor: float) -> Dynamics:
    """The scan as advised; a longer frame blurs nothing here, since simulated frames are moments."""
    if change == "frames":
        return replace(dynamics, frames=round(dynamics.frames * factor))
    if change == "flux":
        return replace(dynamics, counts=dynamics.counts * factor)
    frames, counts = round(dynamics.frames / factor), dynamics.counts * factor
    return replace(dynamics, frames=frames, counts=counts, rate=dynamics.rate * factor)


def compared(
    dynamics: Dynamics, change: str, factor: float, scans: int, ensemble: Ensemble
) -> tuple[float, float, float, float]:
    """Error now, error predicted, error found (medians of relative errors), and the scatter of the rates found."""
    rng = np.random.default_rng(11)
    before = [estimate(dynamics, ensemble, rng) for _ in range(scans)]
    predicted = []
    for row in before:
        found = advice(row, dynamics.frames, 1.0)
        match = [one for one in found.options if one.change == change]
        logs = np.log([one.factor for one in match])
        predicted.append(np.interp(np.log(factor), logs, [one.relative_error for one in match]) if match else np.nan)
    target = changed(dynamics, change, factor)
    after = [estimate(target, ensemble, rng) for _ in range(scans)]
    relative = [[one["relaxation_rate_error"] / one["relaxation_rate"] for one in rows] for rows in (before, after)]
    scatter = np.log([one["relaxation_rate"] / target.rate for one in after])
    return (
        float(np.nanmedian(relative[0])),
        float(np.nanmedian(predicted)),
        float(np.nanmedian(relative[1])),
        float(np.median(np.abs(scatter)) / 0.6745),
    )


def main() -> None:
    """Print one row per case and change."""
    scans = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    ensemble = Ensemble.load()
    table = Table("scan", "change", "error now", "predicted", "found", "predicted / found", "scatter of the rates")
    ratios = []
    for name, dynamics in CASES.items():
        for change, factor in CHANGES:
            now, predicted, found, scatter = compared(dynamics, change, factor, scans, ensemble)
            ratios.append(predicted / found)
            cells = (f"{now:.3f}", f"{predicted:.3f}", f"{found:.3f}", f"{ratios[-1]:.2f}", f"{scatter:.3f}")
            table.add_row(name, f"{factor:g} × {change}", *cells)
    Console(width=130).print(table)
    within = np.mean(np.abs(np.array(ratios) - 1) <= 0.25)
    print(f"{100 * within:.0f} % of {len(ratios)} predictions within 25 % of the error then found.")


if __name__ == "__main__":
    main()
