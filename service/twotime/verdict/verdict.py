"""The statements of an analysis, in the order in which a reader needs them."""

import numpy as np

from twotime.verdict.beam import damage, drift, intensity_of, scattering_changes, unstable
from twotime.verdict.curves import few_photons, oscillating, shapes, static, too_fast
from twotime.verdict.dynamics import ages, law_of_q, precision, unfinished, unlike
from twotime.verdict.evidence import Evidence
from twotime.verdict.statements import Statement, Verdict
from twotime.verdict.words import sentence


def verdict(evidence: Evidence) -> Verdict:
    """What the published numbers say of sample and beam.

    Parameters
    ----------
    evidence : published tables and arrays

    Returns
    -------
    Verdict
        Dynamics first (law of q, age, static, oscillating), then precision, then what stands in its way (too few
        photons, too fast, unfinished, unlike a decay), then the beam. The rule of each statement stands with its
        function in `twotime.verdict.curves`, `twotime.verdict.dynamics` and `twotime.verdict.beam`.
    """
    curves = shapes(evidence)
    waves, still = oscillating(evidence, curves), static(evidence, curves)
    dim = few_photons(evidence, curves)
    fast = too_fast(evidence, [one for one in curves if one.roi not in _rois(waves)])
    without_decay = _rois([*waves, *still, *dim, *fast])
    seen = intensity_of(evidence)
    drifting, changing = drift(evidence, seen), scattering_changes(evidence, seen)
    aged = [] if without_decay >= set(evidence.rois) else ages(evidence)
    found = (
        *waves,
        *still,
        *([] if without_decay >= set(evidence.rois) else law_of_q(evidence)),
        *damage(aged, [*changing, *drifting]),
        *aged,
        *precision(evidence),
        *unlike(evidence, curves, without_decay),
        *dim,
        *fast,
        *unfinished(evidence, curves, without_decay),
        *unstable(evidence, seen),
        *changing,
        *drifting,
    )
    known = tuple(one for one in found if all(np.isfinite(item.value) for item in one.values.values()))
    return Verdict(known, tuple(sentence(one) for one in known))


def _rois(statements: list[Statement]) -> set[int]:
    return {roi for one in statements for roi in one.rois}
