"""Bodies of requests and responses; what stands here is what the OpenAPI document shows."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainValidator

from twotime.api.examples import (
    ADVICE,
    AGE_CUT,
    ANALYSIS,
    CURVES,
    DYNAMICS_MAP,
    FRAME_PROFILE,
    FRAMES_SUMMARY,
    ID,
    LIVE,
    RESULT,
    RINGS,
    RUN,
    SERIES,
    UID,
    VERDICT,
)
from twotime.catalog.results.analysis_record import MarkValue
from twotime.recipe import FrameRecipe, Recipe, parse_recipe
from twotime.series import Law

AnalysisKind = Literal["xpcs", "frames"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]
Kind = Literal["raw", "denoised", "spread", "difference"]
LiveKind = Literal["raw", "denoised"]
SeriesQuantity = Literal["relaxation_rate", "beta", "baseline", "alpha", "diffusion", "exponent", "rate_change"]


def _shows(example: dict[str, JsonValue]) -> ConfigDict:
    """Configuration of a body whose OpenAPI schema carries an example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class Body(BaseModel):
    """A body that says what it holds and refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


RecipeBody = Annotated[
    Recipe | FrameRecipe,
    PlainValidator(parse_recipe, Recipe | FrameRecipe),
    Field(description="what differs from the run's own metadata and the defaults; may be empty"),
]
RunReference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="uid, beginning of a uid, scan_id, or -1 for the newest run",
        examples=[UID],
    ),
]


class PlanRequest(Body):
    """A run and what to do with it."""

    model_config = _shows({"uid": UID, "recipe": {"rois": [RINGS]}})

    uid: RunReference
    recipe: RecipeBody | None = Field(None, description="null: the site's default recipe")


class OutlinesRequest(PlanRequest):
    """A run, where its ROIs shall lie, and how large to draw them."""

    model_config = _shows({"uid": UID, "recipe": {"rois": [RINGS]}, "size": 700})

    size: int = Field(700, ge=16, le=4096, description="longest edge, points")


class AnalysisRequest(PlanRequest):
    """A run, what to do with it, and whether to do it again."""

    model_config = _shows({"uid": UID, "recipe": {"rois": [RINGS]}, "force": False})

    force: bool = Field(False, description="compute again even when this very analysis exists")


class ManyRequest(Body):
    """Which runs, all that fit everything given, and what to do with them."""

    model_config = _shows({"sample": "silica in glycerol", "recipe": {"rois": [RINGS]}, "limit": 50})

    sample: str | None = Field(None, min_length=1, max_length=200, description="name of the sample")
    first_scan_id: int | None = Field(None, ge=0, lt=2**31)
    last_scan_id: int | None = Field(None, ge=0, lt=2**31, description="this one too")
    since: float | None = Field(None, ge=0, le=1e11, description="start of the run, s since 1970")
    until: float | None = Field(None, ge=0, le=1e11, description="start of the run, s since 1970")
    limit: int = Field(100, ge=1, le=1000, description="how many at most, the newest")
    recipe: RecipeBody | None = Field(None, description="null: the site's default recipe")
    force: bool = Field(False, description="compute again even what exists")


class SubmittedRun(Body):
    """What became of one of many runs."""

    uid: str
    scan_id: int | None
    analysis_id: str | None = Field(description="null where it cannot be analysed")
    reason: str = Field(description="why not; empty where it can")


class SubmittedList(Body):
    """What became of each run, oldest first."""

    model_config = _shows({"runs": [{"uid": UID, "scan_id": 4711, "analysis_id": ID, "reason": ""}]})

    runs: list[SubmittedRun]


class Queue(Body):
    """What the service is about to do."""

    model_config = _shows({"paused": False, "running": [ID], "waiting": [], "expected_starts_s": []})

    paused: bool = Field(description="no further analysis is begun")
    running: list[str] = Field(description="ids of analyses that are being computed")
    waiting: list[str] = Field(description="ids of those that wait, the next one first")
    expected_starts_s: list[float | None] = Field(
        [], description="when each of them is expected to start, s from now; null while paused or before any has ended"
    )


class MarkRequest(Body):
    """What to say of a scan; neither mark nor note: take back what was said."""

    model_config = _shows({"mark": "bad", "note": "beam lost half-way"})

    mark: MarkValue | None = Field(None, description="bad scans are left out of series")
    note: str = Field("", max_length=2000, description="free text")


class Mark(Body):
    """What somebody said of a scan."""

    value: MarkValue | None
    note: str
    by: str = Field(description="name of the key that was shown")
    time: float = Field(description="s since 1970")


class Analysis(Body):
    """One analysis: what was asked, how far it is, what became of it."""

    model_config = _shows(ANALYSIS)

    id: str = Field(description="key of the analysis in Tiled")
    kind: AnalysisKind = Field("xpcs", description="correlation functions, or denoised frames")
    raw_uid: str = Field(description="uid of the run")
    scan_id: int | None
    sample: str | None
    status: Status
    attempt: int = Field(description="1; one more each time it was forced or taken up again")
    stage: str = Field(description="what is being done; empty before it starts")
    progress: float = Field(description="done part of the stage, 0 to 1")
    request: dict[str, Any] = Field(description="the recipe asked for: only what it names")
    recipe: dict[str, Any] = Field(description="the recipe with nothing missing")
    sources: dict[str, str] = Field(description="where each value of the recipe came from")
    versions: dict[str, str] = Field(description="of software, numerics and the models")
    timings_s: dict[str, float] = Field(description="seconds spent in each stage")
    error: str | None = Field(description="why it failed or was cancelled")
    warnings: list[str] = Field(description="sentences for the reader")
    automatic: bool = Field(description="whether the service chose this run by its own rules")
    mark: Mark | None = Field(None, description="what somebody said of the scan; null: nothing")
    created_time: float = Field(description="s since 1970")
    updated_time: float = Field(description="s since 1970")
    started_time: float | None = Field(description="s since 1970")
    finished_time: float | None = Field(description="s since 1970")


class AnalysisList(Body):
    """Analyses, newest first."""

    model_config = _shows({"total": 1, "limit": 50, "offset": 0, "analyses": [ANALYSIS]})

    total: int = Field(description="how many fit the filters")
    limit: int
    offset: int
    analyses: list[Analysis]


class RoiPlan(Body):
    """One ROI before anything is computed."""

    roi: int
    q: float | None = Field(description="mean of its pixels, 1/Å")
    q_inner: float | None = Field(description="1/Å")
    q_outer: float | None = Field(description="1/Å")
    phi: float | None = Field(None, description="middle of its angles, degrees; null for whole rings")
    n_pixels: int = Field(description="before dead, hot and noisy pixels are found in the frames")


class GeometryValue(Body):
    """One value of the geometry and where it was read."""

    name: str
    value: float
    unit: str
    source: str


class Plan(Body):
    """What an analysis would do."""

    model_config = _shows(
        {
            "raw_uid": UID,
            "scan_id": 4711,
            "sample": "silica in glycerol",
            "detector": "eiger4m_single_image",
            "shape": [1000, 2167, 2070],
            "request": {"rois": [RINGS]},
            "recipe": {"version": 1, "rois": [RINGS]},
            "sources": {"rois": "recipe"},
            "geometry": [{"name": "distance_m", "value": 16.03, "unit": "m", "source": "recipe"}],
            "n_frames": 1000,
            "frame_time_s": 0.00134,
            "rois": [{"roi": 1, "q": 0.0045, "q_inner": 0.004, "q_outer": 0.005, "phi": None, "n_pixels": 5210}],
            "warnings": [],
            "versions": {"twotime": "0.1.0", "ensemble": "2026.11"},
            "analysis_id": ID,
            "status": None,
        }
    )

    raw_uid: str
    scan_id: int | None
    sample: str | None
    detector: str
    shape: list[int] = Field(description="frames, rows, columns")
    request: dict[str, Any] = Field(description="the recipe asked for, or that of the site: only what it names")
    recipe: dict[str, Any] = Field(description="the recipe with nothing missing")
    sources: dict[str, str] = Field(description="where each value came from")
    geometry: list[GeometryValue]
    n_frames: int = Field(description="frames that will be read")
    frame_time_s: float | None = Field(
        description="between two of these, s; null where denoised frames have none recorded"
    )
    rois: list[RoiPlan] = Field(description="of denoised frames: the regions, without q")
    warnings: list[str]
    versions: dict[str, str] = Field(description="of what would compute it")
    analysis_id: str = Field(description="the id that this analysis would have")
    status: Status | None = Field(description="of the analysis that has this id; null where there is none yet")


class Run(Body):
    """A raw run and whether the automatic mode takes it."""

    model_config = _shows(RUN)

    uid: str
    scan_id: int | None
    sample: str | None
    plan_name: str | None
    time: float = Field(description="start of the run, s since 1970")
    exit_status: str | None = Field(description="null while the run is going on")
    detectors: list[str] = Field(description="image keys")
    automatic: str = Field(description="what the automatic mode made of it: taken, skipped or off")
    reason: str = Field(description="why, in words")
    analyses: list[str] = Field(description="ids of the analyses of this run, newest first")


class RunList(Body):
    """Recent runs, newest first."""

    model_config = _shows({"runs": [RUN]})

    runs: list[Run]


class Quantity(Body):
    """A number with its standard error and unit; null where there is none."""

    value: float | None
    error: float | None
    unit: str


class Dynamics(Body):
    """A fitted decay: C∞ + β exp(-2 (Γ τ)^α)."""

    relaxation_rate: Quantity
    relaxation_rate_per_frame: Quantity | None = None
    beta: Quantity
    baseline: Quantity
    alpha: Quantity
    chi2: float | None = Field(None, description="reduced")
    on_bound: list[str] = Field([], description="parameters that ended on a bound")
    trusted: bool
    reason: str = Field(description="why not to trust it; empty when trusted")


class RoiResult(Body):
    """Dynamics of one ROI: the headline, then the estimate and the fits of the measured and the denoised curve."""

    roi: int
    q: float | None = Field(description="1/Å")
    q_inner: float | None = Field(description="1/Å")
    q_outer: float | None = Field(description="1/Å")
    phi: float | None = Field(None, description="middle of its angles, degrees; null for whole rings")
    n_pixels: int
    mean_counts: float | None = Field(description="per pixel and frame")
    contrast: Quantity = Field(description="from the statistics of the counts (Eq. 4)")
    headline: Literal["estimate", "raw", "denoised"] = Field(
        description="what is shown first: the estimate, or the raw fit of short scans; denoised only in old results"
    )
    trusted: bool = Field(description="whether the headline can be trusted")
    flag: str = Field(description="what to mind, in words; empty when nothing")
    estimate: Dynamics | None = Field(
        None, description="medians of the learned posterior, errors half of its 68 % intervals"
    )
    raw: Dynamics
    denoised: Dynamics | None
    denoised_stride: int | None = Field(description="every n-th frame was denoised")


class QDependence(Body):
    """Γ = D q² and Γ = A q^p through the trusted ROIs."""

    kind: Literal["raw", "denoised", "headline"]
    n_rois: int = Field(description="that could be used")
    diffusion: Quantity
    chi2: float | None
    exponent: Quantity
    amplitude: Quantity
    reason: str = Field(description="why a value is missing; empty when none is")


class Flag(Body):
    """One thing to mind of some ROIs."""

    mark: str = Field(description="letter that stands for it")
    sentence: str = Field(description="where the ROIs differ in a number, from its least to its largest value")
    rois: list[int]


class Result(Body):
    """Headline numbers of a finished analysis."""

    model_config = _shows(RESULT)

    id: str
    raw_uid: str
    scan_id: int | None
    sample: str | None
    n_frames: int
    frame_time_s: float | None = Field(description="between two analysed frames, s")
    rois: list[RoiResult]
    flags: list[Flag] = Field(description="what the flags of the ROIs say, each thing once")
    q_dependence: list[QDependence]
    warnings: list[str]
    versions: dict[str, str]


class Statement(Body):
    """One thing that the numbers say."""

    code: str = Field(description="what is said, such as diffusive, slower, precise or beam_unstable")
    level: Literal["good", "note", "mind"] = Field(description="mind: look before you rely on the numbers")
    sentence: str
    values: dict[str, Quantity] = Field(description="numbers of the sentence; the error of a count is 0")
    rois: list[int] = Field(description="that it is about")
    picture: str = Field(description="of the page that shows it: table, two_time, g2, dispersion, age or intensity")


class Verdict(Body):
    """What a finished analysis says of its sample and its beam."""

    model_config = _shows(VERDICT)

    id: str
    text: str = Field(description="all sentences in a row")
    statements: list[Statement] = Field(description="the most important first")


class Option(Body):
    """One way to measure the same again, and the error that its rate would have."""

    change: Literal["frames", "repeats", "flux", "frame_time"]
    factor: float = Field(description="by which it differs from the scan that was analysed")
    n_frames: int = Field(description="in each repeat")
    frame_time_s: float
    photons: float = Field(description="per pixel and frame")
    relative_error: float = Field(description="predicted standard error of Γ / Γ")


class Advice(Body):
    """How the error of one rate would fall, and what it takes to reach a target."""

    model_config = _shows(ADVICE)

    id: str
    roi: int
    relative_error: float | None = Field(description="standard error of Γ / Γ as it is; null without a rate")
    target: float = Field(description="relative error that is asked for")
    sentence: str
    options: list[Option]
    needed: list[Option] = Field(description="the least change of each kind that reaches the target")
    notes: list[str] = Field(description="what to mind: frame time, length of the scan")


class Columns(Body):
    """A table by columns; null where there is no number."""

    model_config = _shows(CURVES)

    n_rows: int
    units: dict[str, str] = Field(description="of each column; 1 where it has none")
    columns: dict[str, list[Any]]


class SeriesField(Body):
    """A number that scans have in their documents."""

    name: str = Field(description="scan_id, time, a key of the start document, or baseline.<key>")
    unit: str = Field(description="1 where none is known")
    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    n_scans: int = Field(description="scans of which it is known")


class SeriesGroup(Body):
    """ROIs of several scans that have the same q."""

    group: int
    q: float | None = Field(description="mean, 1/Å")
    phi: float | None = Field(description="middle of the angles, degrees; null for whole rings")
    n_scans: int = Field(description="scans that have it")


class SeriesLaw(Body):
    """A law through the trusted values of one group, or of whole scans."""

    group: int | None = Field(description="null for a quantity of whole scans")
    parameters: dict[str, Quantity] = Field(
        description="intercept and slope of y = intercept + slope (x - x₀), amplitude and exponent of "
        "y = amplitude (x / x₀)^exponent, or amplitude and activation_energy of "
        "y = amplitude exp(E / R (1 / x₀ - 1 / x))"
    )
    reference: float | None = Field(description="x₀")
    chi2: float | None = Field(description="per degree of freedom")
    n: int = Field(description="values that were fitted")
    reason: str = Field(description="why there is no fit; empty where there is one")
    x: list[float] = Field(description="the curve")
    y: list[float]


class Series(Body):
    """Published numbers of many scans."""

    model_config = _shows(SERIES)

    x: SeriesField
    y: SeriesQuantity
    y_unit: str
    n_scans: int
    without_x: int = Field(description="scans left out because they do not have x")
    marked_bad: int = Field(0, description="scans left out because they are marked as bad")
    fields: list[SeriesField] = Field(description="what x may be besides scan_id and time")
    groups: list[SeriesGroup]
    scans: Columns = Field(description="one row per scan, by x: D, exponent, change of the rate over the scan")
    rows: Columns = Field(description="one row per scan and ROI: Γ, β, C∞, α with errors, group of the ROI")
    law: Law | None
    fits: list[SeriesLaw] = Field(description="empty without a law")


class DynamicsMap(Body):
    """ROIs of many scans on one plane, on which like dynamics lie near each other."""

    model_config = _shows(DYNAMICS_MAP)

    n_scans: int
    without_place: int = Field(description="ROIs that have none: not denoised, or by an older version")
    sentences: list[str] = Field(description="one for each scan that is unlike the earlier ones of its sample")
    scans: Columns = Field(description="one row per scan, by time: distance from earlier scans, in usual distances")
    dots: Columns = Field(description="one row per scan and ROI: map_x, map_y with errors, and the numbers of the ROI")


class LiveScan(Body):
    """A scan that is followed, or was lately."""

    model_config = _shows(LIVE)

    uid: str
    kind: AnalysisKind = Field("xpcs", description="correlation functions, or denoised frames")
    scan_id: int | None
    sample: str | None
    detector: str
    state: Literal["running", "ended", "failed"] = Field(description="of following it; its analysis comes afterwards")
    message: str = Field(description="what to mind, in words; empty when nothing")
    n_frames: int = Field(description="frames read so far")
    n_shown: int = Field(description="frames, after binning, that the numbers and pictures stand for")
    announced: int | None = Field(description="frames that the scan will have, as far as it says")
    frame_time_s: float | None = Field(
        description="between two shown frames, s; null only of denoised frames whose run does not say"
    )
    lag_s: float | None = Field(None, description="from the last frame of the latest numbers to these, s")
    bad_frames: int = Field(description="left out of every average")
    warnings: list[str]
    updated_time: float = Field(description="s since 1970")


class LiveList(Body):
    """Scans that are followed, or were lately, newest first."""

    model_config = _shows({"scans": [LIVE]})

    scans: list[LiveScan]


class LiveFrame(Body):
    """The newest denoised frame of a scan that runs."""

    frame: int = Field(description="number of the sum of frames, from 0")
    frame_number: int = Field(description="number in the run of its first frame")
    frames_summed: int = Field(description="so far; the first sum is shown while it still grows")
    shape: list[int] = Field(description="rows and columns of the whole frame")
    regions: list[dict[str, JsonValue]] = Field(description="as the recipe has them")
    significance: float = Field(description="least significance of a peak, standard deviations")


class LiveView(LiveScan):
    """What the frames of a scan say so far; preliminary until its analysis is done."""

    model_config = _shows({**LIVE, "rois": [], "flags": [], "q_dependence": []})

    rois: list[RoiResult] = Field(description="empty before the first ten frames")
    flags: list[Flag] = Field(description="what the flags of the ROIs say, each thing once")
    q_dependence: list[QDependence]
    newest: LiveFrame | None = Field(None, description="of denoised frames; null before the first")


class LiveIntensity(Body):
    """Mean count per pixel so far, averaged over so many frames that few points remain."""

    model_config = _shows({"time_s": [0.0, 0.01], "counts": [[0.12, 0.118]]})

    time_s: list[float]
    counts: list[list[float | None]] = Field(description="one list per ROI, counts per pixel")


class Latest(Body):
    """The headline numbers of the newest analysis, or of a scan that runs: flat lists, one entry per ROI."""

    model_config = _shows(
        {
            "id": ID,
            "state": "done",
            "raw_uid": "6a1f3c2b-1f2e-4c55-9d39-0c7a1f1c2d3e",
            "scan_id": 4711,
            "sample": "silica",
            "finished_time": 1795000000.0,
            "q": [0.0045],
            "relaxation_rate": [12.3],
            "relaxation_rate_error": [1.4],
            "trusted": [True],
            "diffusion": 6.1e5,
            "diffusion_error": 4e4,
            "verdict": "Diffusive: Γ ∝ q^(2.01 ± 0.08), D = (6.1 ± 0.4) × 10⁵ Å²/s.",
        }
    )

    id: str | None = Field(description="null while the scan runs")
    state: Literal["running", "done"] = Field(description="numbers of a scan that runs are preliminary")
    raw_uid: str
    scan_id: int | None
    sample: str | None
    finished_time: float | None = Field(description="s since 1970")
    q: list[float | None] = Field(description="1/Å")
    relaxation_rate: list[float | None] = Field(description="Γ, 1/s")
    relaxation_rate_error: list[float | None] = Field(description="standard error, 1/s")
    trusted: list[bool] = Field(description="whether each can be relied upon")
    diffusion: float | None = Field(description="D of Γ = D q² over the trusted ROIs, Å²/s")
    diffusion_error: float | None = Field(description="standard error, Å²/s")
    verdict: str = Field("", description="what the numbers say of sample and beam; empty while the scan runs")


class Table(Body):
    """A published table by columns; null where there is no number."""

    model_config = _shows(
        {
            "name": "g2",
            "description": "One-time correlation functions",
            "n_rows": 2,
            "units": {"lag_s": "s"},
            "columns": {"roi": [1, 1], "lag_s": [0.001, 0.002], "g2_raw": [1.21, 1.18]},
        }
    )

    name: str
    description: str
    n_rows: int
    units: dict[str, str] = Field(description="of each column; 1 where it has none")
    columns: dict[str, list[Any]]


class ScanVariable(Body):
    """What frames stand against."""

    name: str
    unit: str = Field(description="empty where the run does not say")


class RegionPixels(Body):
    """One region of denoised frames."""

    region: int
    n_pixels: int = Field(description="before pixels are masked for their values")


class FramesSummary(Body):
    """What an analysis of denoised frames holds."""

    model_config = _shows(FRAMES_SUMMARY)

    id: str
    raw_uid: str
    scan_id: int | None
    sample: str | None
    detector: str
    n_frames: int = Field(description="denoised frames, numbered from 0")
    frames_summed: int = Field(description="frames of the run that were added to one")
    shape: list[int] = Field(description="rows, columns")
    scan_variable: ScanVariable | None = Field(description="null where the run recorded none that changes")
    frame_time_s: float | None = Field(description="between two denoised frames, s; null where it is not recorded")
    regions: list[RegionPixels]
    significance: float = Field(description="of the least significant peak that is listed, standard deviations")
    warnings: list[str]
    versions: dict[str, str]


class FrameProfile(Body):
    """Counts and rates along a line through a denoised frame, one point for each pixel of its length."""

    model_config = _shows(FRAME_PROFILE)

    distance: list[float] = Field(description="from the first point, pixels")
    row: list[float]
    column: list[float]
    n_pixels: list[int] = Field(description="usable pixels across the line that each mean is taken over")
    raw: list[float | None] = Field(description="mean counts per pixel; null where all are masked")
    raw_error: list[float | None] = Field(description="standard error from counting")
    rate: list[float] = Field(description="mean denoised counts per pixel")
    rate_error: list[float] = Field(description="standard error")


class AgeCut(Body):
    """g2 at constant age (t1 + t2) / 2, and the decay fitted to it."""

    model_config = _shows(AGE_CUT)

    roi: int
    age_s: float = Field(description="middle of the cut, s; the fitted one that lies nearest to the age asked for")
    first_age_s: float = Field(description="where the cut begins, s")
    last_age_s: float = Field(description="where it ends, s")
    lag_s: list[float]
    g2_raw: list[float | None]
    g2_raw_error: list[float | None] = Field(description="that of the whole scan, grown by the share of its pairs")
    g2_raw_fit: list[float | None]
    g2_denoised: list[float | None] = Field(description="null everywhere where nothing was denoised")
    g2_denoised_error: list[float | None]
    g2_denoised_fit: list[float | None]
    g2_estimate: list[float | None] | None = Field(None, description="decay of the estimate; null where there is none")
    estimate: Dynamics | None = Field(None, description="as in the result of a ROI")
    raw: Dynamics
    denoised: Dynamics | None


class Intensity(Body):
    """Mean count per pixel of each frame and ROI."""

    model_config = _shows({"frame": [0, 1], "bad": [False, False], "counts": [[0.12, 0.118]]})

    frame: list[int] = Field(description="number in the run")
    bad: list[bool] = Field(description="frames left out of every average")
    counts: list[list[float | None]] = Field(description="one list per ROI, counts per pixel")


class Check(Body):
    """One thing the service needs."""

    name: str
    ok: bool
    detail: str


class Health(Body):
    """The process lives."""

    model_config = _shows({"status": "alive", "version": "0.1.0"})

    status: Literal["alive"] = "alive"
    version: str


class Readiness(Body):
    """Whether work can be done, and what is missing."""

    model_config = _shows({"ready": True, "checks": [{"name": "tiled", "ok": True, "detail": "reachable"}]})

    ready: bool
    checks: list[Check]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:twotime:problem:run-not-found",
                    "title": "Run not found",
                    "status": 404,
                    "detail": "No run fits '4712'; give a uid, the beginning of one, a scan_id, or -1 for the newest.",
                    "instance": "/api/v1/analyses",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str = Field(description="one sentence: field, value, remedy")
    instance: str
