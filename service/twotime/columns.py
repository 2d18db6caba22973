"""The one table of the columns of all published tables: name, unit, description.

Publishing writes it into the metadata of each table, and the REST interface takes its units from it.
"""

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple


class Column(NamedTuple):
    """One column of a published table.

    Attributes
    ----------
    name : as in the table
    unit : "1" where the values have none
    description : a few words for a reader who knows only Tiled
    """

    name: str
    unit: str
    description: str


PLACE = ("map_x", "map_y")
"""Coordinates of a ROI on the map of dynamics, see `cnn_ed.latent_map`."""
_PARAMETERS = {
    "relaxation_rate": ("1/s", "relaxation rate Γ"),
    "beta": ("1", "contrast β"),
    "baseline": ("1", "baseline C∞"),
    "alpha": ("1", "stretching exponent α"),
}
_CURVES = {
    "estimate": "posterior given the measured curve",
    "raw": "fit of the measured curve",
    "denoised": "fit of the denoised curve",
}
_INTERVALS = {"low_95": "2.5 %", "low_68": "16 %", "high_68": "84 %", "high_95": "97.5 %"}
_ROI = (Column("roi", "1", "number of the ROI, from 1"), Column("q", "1/Å", "momentum transfer of the ROI"))
_LAGS = (Column("lag_frames", "frame", "lag"), Column("lag_s", "s", "lag"))


def _values(prefix: str, of: str) -> Iterator[Column]:
    """The four parameters with their standard errors."""
    for name, (unit, words) in _PARAMETERS.items():
        yield Column(f"{prefix}{name}", unit, f"{words}, {of}")
        yield Column(f"{prefix}{name}_error", unit, f"standard error of {prefix}{name}")


def _fit(kind: str) -> Iterator[Column]:
    """Everything that one kind of fit yields, for a ROI or an age."""
    of = _CURVES[kind]
    yield from _values(f"{kind}_", of)
    rate = f"{kind}_relaxation_rate_per_frame"
    yield Column(rate, "1/frame", f"relaxation rate Γ, {of}")
    yield Column(f"{rate}_error", "1/frame", f"standard error of {rate}")
    for first, second in combinations_with_replacement(_PARAMETERS, 2):
        unit = ("1", "1/s", "1/s²")[(first, second).count("relaxation_rate")]
        yield Column(f"{kind}_covariance_{first}_{second}", unit, f"covariance of {first} and {second}, {of}")
    yield Column(f"{kind}_chi2", "1", "χ² per degree of freedom")
    yield Column(f"{kind}_r2", "1", "share of the weighted variance of the curve that is explained")
    yield Column(f"{kind}_on_bound", "1", "parameters that ended on a bound")
    yield Column(f"{kind}_trusted", "1", "whether the values can be trusted")
    yield Column(f"{kind}_reason", "1", "why the values are not trusted; empty where they are")
    if kind == "estimate":
        for name, (unit, words) in _PARAMETERS.items():
            for end, share in _INTERVALS.items():
                yield Column(f"estimate_{name}_{end}", unit, f"{share} quantile of the posterior of {words}")
        yield Column("estimate_misfit", "1", "distance of the measured curve from the estimated one, in errors")


def _fits() -> Iterator[Column]:
    yield from _ROI
    yield Column("q_inner", "1/Å", "lowest momentum transfer of the ROI")
    yield Column("q_outer", "1/Å", "highest momentum transfer of the ROI")
    yield Column("phi", "°", "angle of the ROI around the beam; NaN for rings")
    yield Column("n_pixels", "pixel", "pixels of the ROI that were used")
    yield Column("mean_counts", "counts", "mean count per pixel and frame")
    yield Column("contrast", "1", "contrast from the distribution of the counts")
    yield Column("contrast_error", "1", "standard error of contrast")
    yield Column("products", "1", "how counts were multiplied, see twotime.xpcs.products")
    yield Column("headline", "1", "which kind of values leads: estimate, raw or denoised")
    yield from _values("", "of the kind that leads")
    yield Column("trusted", "1", "whether the values that lead can be trusted")
    yield Column("flag", "1", "what to mind of this ROI, in words; empty where nothing")
    yield Column("stationary", "1", "whether the rate stays the same over age; empty where too few ages have a rate")
    yield Column("stationarity_chi2", "1", "χ² of a constant rate, per degree of freedom")
    yield Column("stationarity_probability", "1", "probability of a χ² as large, were the rate constant")
    yield Column("stationarity", "1", "the verdict on stationarity in words")
    for kind in _CURVES:
        yield from _fit(kind)
    yield Column("denoised_usable", "1", "whether the denoised curve can be used")
    yield Column("denoised_refusal", "1", "why the denoised fit is not to be trusted; empty where it is")
    yield Column("denoised_stride", "frame", "frames from one denoised frame to the next; 0 where none was denoised")
    yield Column("denoised_input_noise", "1", "noise of the input, at the scale of contrast 1")
    yield Column("denoised_latent_distance", "1", "distance of the input from the training set")
    for name, order in zip(PLACE, ("first", "second"), strict=True):
        yield Column(
            name, "1", f"{order} coordinate on the map of dynamics, in standard deviations of the training set"
        )
        yield Column(
            f"{name}_error", "1", f"standard error of {name}, from parts of the scan; NaN where it has only one"
        )


def _fits_age() -> Iterator[Column]:
    yield from _ROI
    yield Column("age_frames", "frame", "age (t1 + t2) / 2, middle of the cut")
    yield Column("age_s", "s", "age (t1 + t2) / 2, middle of the cut")
    for kind in _CURVES:
        yield from _fit(kind)
    for kind in _CURVES:
        yield Column(f"{kind}_trend_relaxation_rate", "1/s", f"smooth trend of the rates over age, {_CURVES[kind]}")
        yield Column(f"{kind}_trend_relaxation_rate_error", "1/s", "standard error of the trend")


def _g2() -> Iterator[Column]:
    yield from (*_ROI, *_LAGS)
    for kind in ("raw", "denoised"):
        yield Column(f"g2_{kind}", "1", f"one-time correlation function, {kind}")
        yield Column(f"g2_{kind}_error", "1", f"standard error of g2_{kind}")
        yield Column(f"g2_{kind}_fit", "1", f"fitted curve of g2_{kind}")
    yield Column("g2_estimate", "1", "curve of the estimated parameters")


def _q_fit() -> Iterator[Column]:
    yield Column("kind", "1", "which rates: raw, denoised or headline")
    yield Column("n_rois", "1", "trusted ROIs that were fitted")
    yield Column("rois", "1", "numbers of these ROIs")
    yield Column("diffusion", "Å²/s", "D of relaxation_rate = D q²")
    yield Column("diffusion_error", "Å²/s", "standard error of diffusion")
    yield Column("diffusion_chi2", "1", "χ² of D q² per degree of freedom")
    yield Column("amplitude", "Å^p/s", "A of relaxation_rate = A q^p")
    yield Column("amplitude_error", "Å^p/s", "standard error of amplitude")
    yield Column("exponent", "1", "p of relaxation_rate = A q^p")
    yield Column("exponent_error", "1", "standard error of exponent")
    yield Column("reason", "1", "why a value is missing or not to be trusted")
    for name in ("alpha", "beta"):
        yield Column(f"{name}_mean", "1", f"weighted mean of {name} over the trusted ROIs")
        yield Column(f"{name}_mean_error", "1", f"standard error of {name}_mean")
        yield Column(f"{name}_chi2", "1", f"χ² of a constant {name}, per degree of freedom")


def _g2_multitau() -> Iterator[Column]:
    yield from (*_ROI, *_LAGS)
    yield Column("g2", "1", "one-time correlation function straight from the counts")
    yield Column("g2_error", "1", "standard error of g2")


def _fits_variant() -> Iterator[Column]:
    yield from _ROI
    yield Column("variant", "1", "vibration or flow")
    yield Column("parameter", "1", "name of the parameter")
    yield Column("value", "see unit", "fitted value")
    yield Column("error", "see unit", "standard error of value")
    yield Column("unit", "1", "unit of value and error")
    yield Column("chi2", "1", "χ² per degree of freedom")
    yield Column("on_bound", "1", "whether the parameter ended on a bound")
    yield Column("reason", "1", "why the fit is not trusted; empty where it is")


_FRAME = (
    Column("frame", "1", "number along the axis of the published frames, from 0"),
    Column("frame_number", "1", "number in the run of the first frame that was added"),
    Column("frames_summed", "frame", "frames of the run that were added"),
    Column("scan_value", "see scan_variable", "mean of the scan variable over these frames; NaN where there is none"),
)


def _counts(of: str) -> Iterator[Column]:
    yield Column("counts", "counts", f"raw counts of {of}")
    yield Column("counts_error", "counts", "standard error of counts, from counting")
    yield Column("counts_denoised", "counts", f"the same of the denoised frame, {of}")
    yield Column("counts_denoised_error", "counts", "standard error of counts_denoised")


def _frames() -> Iterator[Column]:
    yield from _FRAME
    yield Column("counts", "counts", "raw counts of all pixels that were used")
    yield Column("counts_denoised", "counts", "counts of the denoised frame over the same pixels")
    yield Column("residual_deviation", "1", "standard deviation of the residual; 1 where only noise was taken away")
    yield Column("n_peaks", "1", "peaks that stand out")
    yield Column("unlike", "1", "why the frame is unlike what the denoiser was trained on; empty where it is not")


def _peaks() -> Iterator[Column]:
    yield from _FRAME
    for axis in ("row", "column"):
        yield Column(axis, "pixel", f"{axis} of the middle of the peak, from 0 at the middle of the first pixel")
        yield Column(f"{axis}_error", "pixel", f"standard error of {axis}")
    yield Column("width", "pixel", "full width at half maximum")
    yield Column("width_error", "pixel", "standard error of width")
    yield from _counts("the peak above its local background")
    yield Column("significance", "1", "raw counts in the aperture over the background alone, in standard deviations")


def _regions() -> Iterator[Column]:
    yield from _FRAME
    yield Column("region", "1", "number of the region, from 1")
    yield Column("n_pixels", "pixel", "pixels of the region that were used")
    yield from _counts("the region")


COLUMNS: dict[str, dict[str, Column]] = {
    name: {column.name: column for column in columns}
    for name, columns in {
        "g2": _g2(),
        "g2_multitau": _g2_multitau(),
        "fits": _fits(),
        "fits_age": _fits_age(),
        "fits_variant": _fits_variant(),
        "q_fit": _q_fit(),
        "frames": _frames(),
        "peaks": _peaks(),
        "regions": _regions(),
    }.items()
}
"""Columns by table and name."""


def unit_of(table: str, column: str) -> str:
    """Unit of a column; "1" where it has none or is not known.

    Examples
    --------
    >>> unit_of("fits", "raw_relaxation_rate_error"), unit_of("fits", "q"), unit_of("fits", "raw_beta")
    ('1/s', '1/Å', '1')
    """
    known = COLUMNS.get(table, {}).get(column)
    return "1" if known is None else known.unit
