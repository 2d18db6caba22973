"""One-line errors that the unit tests must catch.

Each error is one that a change could bring in unseen: the program still runs and the numbers still look like numbers.
Add one here when an error passed the tests, then write the test that catches it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """An error in one line of the sources.

    Attributes
    ----------
    name : what is wrong with it
    path : file, from the root of the repository
    line, wrong : text that occurs once in that file, and what replaces it
    tests : files in tests/unit that are run first; if they pass, all of tests/unit are run
    """

    name: str
    path: str
    line: str
    wrong: str
    tests: tuple[str, ...]


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "normalisation: frame mean divided by P - 1 pixels",
        "service/twotime/xpcs/correlate.py",
        "        mean = row_sums(pixels) / n_pixels\n",
        "        mean = row_sums(pixels) / (n_pixels - 1)\n",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "window offset: the first window begins at the second frame",
        "models/cnn_ed/windows.py",
        "np.arange(0, n_frames - window + 1, step)",
        "np.arange(1, n_frames - window + 1, step)",
        ("test_cnn_ed_windows.py",),
    ),
    Mutation(
        "unit: q as 2π/λ sin(θ/2)",
        "service/twotime/xpcs/geometry.py",
        "= 4 * np.pi / geometry.wavelength_angstrom * np.sin",
        "= 2 * np.pi / geometry.wavelength_angstrom * np.sin",
        ("test_xpcs_rois.py",),
    ),
    Mutation(
        "unit: lags of the fit in frames, rates announced in 1/s",
        "service/twotime/pipeline/one_roi.py",
        "        lag * frame_time_s,\n",
        "        lag * 1.0,\n",
        ("test_pipeline.py",),
    ),
    Mutation(
        "lag 0: one-time curve begins with the shot noise",
        "service/twotime/xpcs/onetime.py",
        "    lag = np.arange(1, longest + 1)\n",
        "    lag = np.arange(longest)\n",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "lag 0: diagonal of a window drawn from lag 2",
        "models/cnn_ed/windows.py",
        "lag_one = np.diagonal(window, 1)",
        "lag_one = np.diagonal(window, 2)",
        ("test_cnn_ed_windows.py",),
    ),
    Mutation(
        "thinning: held-out photons in the exposure of the seen ones",
        "models/frame_denoiser/likelihood.py",
        "    log_expected = posterior.log_mean + torch.log(exposure)\n",
        "    log_expected = posterior.log_mean + 0 * torch.log(exposure)\n",
        ("frame_denoiser/test_training.py",),
    ),
    Mutation(
        "orientation: flipped left to right",
        "service/twotime/xpcs/orientation.py",
        "flipped = frames[..., ::-1, :]",
        "flipped = frames[..., ::-1]",
        ("test_orientation.py",),
    ),
    Mutation(
        "orientation: centre of a flipped frame without the pyCHX pixel",
        "service/twotime/xpcs/orientation.py",
        "        return last_y - y, x\n",
        "        return shape[0] - 1 - y, x\n",
        ("test_orientation.py",),
    ),
    Mutation(
        "mask bit: noisy pixels (16) of the master file pass",
        "service/twotime/files/eiger.py",
        "np.asarray(node[()] == 0)",
        "np.asarray(node[()] & 15 == 0)",
        ("test_files.py",),
    ),
    Mutation(
        "mask: negative marks of gaps count as pixels",
        "service/twotime/xpcs/mask.py",
        "good = ~(statistics.saturated | statistics.negative)",
        "good = ~statistics.saturated",
        ("test_pipeline.py",),
    ),
    Mutation(
        "error's scale: jackknife over age without (n - 1)",
        "service/twotime/xpcs/onetime.py",
        "= (blocks - 1) / blocks * deviation.T @ deviation",
        "= 1 / blocks * deviation.T @ deviation",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "error's scale: scatter over the ROI without the weights of its parts",
        "service/twotime/xpcs/onetime.py",
        "(deviation * weights[:, None] ** 2).T",
        "(deviation * weights[:, None]).T",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "error's scale: standard error of a diagonal is its standard deviation",
        "service/twotime/xpcs/onetime.py",
        "math.sqrt(square / (count - 1) / count)",
        "math.sqrt(square / (count - 1))",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "error's scale: error of the rate in units of its logarithm",
        "service/twotime/xpcs/decay.py",
        "    to_rate[:, 0] = np.nan_to_num(np.exp(x[:, 0]))\n",
        "    to_rate[:, 0] = 1.0\n",
        ("test_xpcs_decay.py",),
    ),
    Mutation(
        "shifted curve: g2 of a ROI stands one lag too early",
        "service/twotime/pipeline/one_roi.py",
        "one_time(c2, max_lag=longest).g2[lag - 1]",
        "one_time(c2, max_lag=longest + 1).g2[lag]",
        ("test_pipeline.py",),
    ),
    Mutation(
        "definition of age: age is t1 instead of (t1 + t2) / 2",
        "service/twotime/xpcs/onetime.py",
        "start = max(0, math.ceil(low[row] - own / 2))",
        "start = max(0, math.ceil(low[row]))",
        ("test_xpcs_correlate.py",),
    ),
    Mutation(
        "age in the table: in frames where it should be in s",
        "service/twotime/pipeline/tables.py",
        '"age_s": float(age) * frame_time_s}',
        '"age_s": float(age)}',
        ("test_pipeline.py",),
    ),
    Mutation(
        "recipe default: ROIs of a single pixel are kept",
        "service/twotime/recipe/options.py",
        "min_pixels: int = Field(10, ",
        "min_pixels: int = Field(1, ",
        ("test_documented.py",),
    ),
    Mutation(
        "recipe default: fits without weights",
        "service/twotime/recipe/options.py",
        "weighted: bool = Field(True, ",
        "weighted: bool = Field(False, ",
        ("test_documented.py",),
    ),
    Mutation(
        "recipe default: bad frames are not searched",
        "service/twotime/recipe/options.py",
        "find_bad: bool = Field(True, ",
        "find_bad: bool = Field(False, ",
        ("test_documented.py",),
    ),
    Mutation(
        "access: every key may do everything",
        "service/twotime/api/security/auth.py",
        "    if needed in scopes:\n",
        "    if scopes:\n",
        ("test_api_scopes.py",),
    ),
    Mutation(
        "access: analyses may be asked for with a key that reads",
        "service/twotime/api/security/auth.py",
        '_PLANNING = ("/api/v1/plans", "/api/v1/plans/rois.png")',
        '_PLANNING = ("/api/v1/plans", "/api/v1/plans/rois.png", "/api/v1/analyses")',
        ("test_api_scopes.py",),
    ),
    Mutation(
        "access: the queue may be paused with a key that submits",
        "service/twotime/api/security/auth.py",
        '_SUBMITTING = re.compile(r"/api/v1/analyses(/[^/]+/(cancel|first|mark)|/many)?")',
        '_SUBMITTING = re.compile(r"/api/v1/analyses(/[^/]+/(cancel|first|mark)|/many)?|/api/v1/queue/.*")',
        ("test_api_scopes.py",),
    ),
    Mutation(
        "access: a page of another site may act by the cookie",
        "service/twotime/api/security/auth.py",
        '        return site != "same-origin"\n',
        '        return site == "none"\n',
        ("test_api_scopes.py",),
    ),
    Mutation(
        "identity: other numerics, same analysis",
        "service/twotime/recipe/resolve.py",
        'resolved.recipe.model_dump(mode="json"), deciding(versions)]',
        'resolved.recipe.model_dump(mode="json"), versions["ensemble"]]',
        ("test_numerics.py",),
    ),
    Mutation(
        "activation energies have the wrong sign",
        "service/twotime/series/laws.py",
        "energy / GAS_CONSTANT * (1 / reference - 1 / at)",
        "energy / GAS_CONSTANT * (1 / at - 1 / reference)",
        ("test_series.py",),
    ),
    Mutation(
        "narrow rings of one scan become one group",
        "service/twotime/series/table.py",
        "    near[list(taken)] = False",
        "    near[[]] = False",
        ("test_series.py",),
    ),
    Mutation(
        "two-time functions are rounded coarser than their errors allow",
        "service/twotime/xpcs/compact.py",
        "np.float32(share * _UNIFORM)",
        "np.float32(2 * share * _UNIFORM)",
        ("test_compact.py",),
    ),
    Mutation(
        "the stored half of a two-time function lacks the diagonal",
        "service/twotime/xpcs/compact.py",
        "row[:, None] <= column",
        "row[:, None] < column",
        ("test_compact.py",),
    ),
    Mutation(
        "marked scans are deleted",
        "service/twotime/catalog/results/retention.py",
        'if values else ""',
        'if not values else ""',
        ("test_retention.py",),
    ),
    Mutation(
        "analyses are deleted that the automatic mode computes again",
        "service/twotime/catalog/results/retention.py",
        "<= rules.youngest_s",
        "<= 0",
        ("test_retention.py",),
    ),
    Mutation(
        "a proposal that had no work gets all workers afterwards",
        "service/twotime/jobs/scheduling/fair_shares.py",
        "max(self._used_s.get(level, 0.0), self._served_at_s.get(level[:-1], 0.0))",
        "self._used_s.get(level, 0.0)",
        ("test_fair_shares.py",),
    ),
    Mutation(
        "a claim that another service was faster to get counts as work",
        "service/twotime/jobs/scheduling/fair_shares.py",
        "+= used_s - charged_s",
        "+= 0.0",
        ("test_fair_shares.py",),
    ),
    Mutation(
        "memory of a worker without the pixels of its ROIs",
        "service/twotime/pipeline/capacity.py",
        "measured.process_bytes + counts * demand.bytes_per_count + size",
        "measured.process_bytes + size",
        ("test_capacity.py",),
    ),
)
