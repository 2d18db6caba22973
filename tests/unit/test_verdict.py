"""Every kind of scan is told from its numbers, with errors, and a stationary one is not told anything else."""

from dataclasses import replace

import numpy as np
import pytest
from tests.memory import BEAMS, KINDS, analysed, scan

from cnn_ed import Ensemble
from twotime.verdict import Evidence, verdict
from twotime.verdict.words import SENTENCES

SAID = {
    "diffusive": {"diffusive", "steady", "precise"},
    "ballistic": {"ballistic", "steady", "precise"},
    "exponent 1.5": {"exponent", "steady", "precise"},
    "slower": {"diffusive", "slower", "precise"},
    "faster": {"diffusive", "faster", "damage", "precise"},
    "static": {"static"},
    "oscillating": {"oscillating"},
    "few photons": {"few_photons"},
    "too fast": {"too_fast"},
    "unfinished": {"unfinished"},
    "beam lost": {"diffusive", "frames_lost"},
    "swing": {"diffusive", "beam_unstable"},
    "drift": {"diffusive", "drift"},
    "damage": {"faster", "damage", "drift"},
}
ALLOWED = {
    "faster": {"too_fast"},
    "damage": {"diffusive", "too_fast"},
    "static": {"unfinished"},
    "unfinished": {"exponent_open", "steady"},
}
ALWAYS = {"precise", "steady"}


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


@pytest.fixture(scope="module")
def good(ensemble: Ensemble) -> Evidence:
    return Evidence.of(analysed(scan("diffusive", 1000), ensemble))


@pytest.mark.parametrize("kind", [*KINDS, *BEAMS])
def test_kind_is_found_and_nothing_else(kind: str, ensemble: Ensemble) -> None:
    found = verdict(Evidence.of(analysed(scan(kind, 1000), ensemble)))

    codes = {one.code for one in found.statements}
    assert codes >= SAID[kind], found.text
    assert codes <= SAID[kind] | ALLOWED.get(kind, set()) | ALWAYS, found.text


def test_numbers_hold_the_truth_and_have_errors(good: Evidence) -> None:
    statements = {one.code: one for one in verdict(good).statements}

    diffusion = statements["diffusive"].values["diffusion"]
    assert abs(diffusion.value - 2.0e5) < 3 * diffusion.error
    assert statements["diffusive"].picture == "dispersion"
    assert statements["diffusive"].rois == (1, 2, 3, 4, 5)
    for one in statements.values():
        assert one.code in SENTENCES
        assert all(np.isfinite(value.error) for value in one.values.values())


def test_curve_that_no_decay_describes_is_unlike(good: Evidence) -> None:
    fits = good.fits.assign(estimate_misfit=[2.0, 2.5, 3.0, 0.5, 2.2])

    found = verdict(replace(good, fits=fits))

    (one,) = [one for one in found.statements if one.code == "unlike"]
    assert one.rois == (1, 2, 3, 5)


def test_intensity_of_one_ring_that_changes_is_the_sample(good: Evidence) -> None:
    change = 1 + np.outer(np.linspace(0, 0.4, len(good.bad)), [0, 0, 0, 0, 1])

    found = verdict(replace(good, intensity=good.intensity * change))

    (one,) = [one for one in found.statements if one.code == "scattering_changes"]
    assert one.rois == (5,)


@pytest.mark.parametrize("seed", range(20))
def test_missing_numbers_are_left_out_without_an_error(good: Evidence, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = {}
    for name in ("fits", "fits_age", "q_fit", "g2"):
        table = getattr(good, name).copy()
        for column in table.select_dtypes("float"):
            table.loc[rng.random(len(table)) < 0.5, column] = np.nan
        tables[name] = table

    found = verdict(replace(good, **tables))

    assert "nan" not in found.text


def test_scan_without_ages_and_with_one_roi_has_a_verdict(good: Evidence) -> None:
    found = verdict(
        replace(
            good,
            fits=good.fits[:1],
            fits_age=good.fits_age[["roi", "q", "age_frames", "age_s"]][:0],
            q_fit=good.q_fit.assign(exponent=np.nan),
            intensity=good.intensity[:, :1],
        )
    )

    assert [one.code for one in found.statements] == ["rate"]
    assert "± " in found.text
