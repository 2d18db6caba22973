"""Flags of fits: a letter in the row of a ROI, its sentence once for all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_RAW_LEADS = "raw leads: "
_SYMBOLS = {
    "relaxation_rate": "Γ",
    "baseline ended": "C∞ ended",
    "beta ended": "β ended",
    "alpha ended": "α ended",
    "see fits_age": "see Γ against age",
}


@dataclass(frozen=True)
class Flag:
    """One thing to mind of some ROIs.

    Attributes
    ----------
    mark : letter that stands in the rows
    sentence : what it means; a number in which the ROIs differ is given from its least to its largest value
    rois : numbers of the ROIs
    """

    mark: str
    sentence: str
    rois: tuple[int, ...]


def flags(by_roi: Mapping[int, str]) -> list[Flag]:
    """What the column ``flag`` of the table ``fits`` says, each thing once, as it first comes up.

    >>> for one in flags({1: "input noise 0.5 exceeds 0.4", 2: "input noise 0.7 exceeds 0.4; beta ended on a bound"}):
    ...     print(one.mark, one.sentence, one.rois)
    a input noise 0.5–0.7 exceeds 0.4 (1, 2)
    b β ended on a bound (2,)
    """
    found: dict[str, dict[int, str]] = {}
    for roi, flag in by_roi.items():
        for part in sentences(flag):
            found.setdefault(_NUMBER.sub("#", part), {})[roi] = part
    return [Flag(_mark(place), _common(list(said.values())), tuple(said)) for place, said in enumerate(found.values())]


def marks(found: list[Flag], roi: int) -> str:
    """The letters of one ROI.

    >>> marks([Flag("a", "", (1,)), Flag("b", "", (2,)), Flag("c", "", (1, 2))], 1)
    'a, c'
    """
    return ", ".join(one.mark for one in found if roi in one.rois)


def sentences(flag: str) -> list[str]:
    """Parts of one flag, each said once and with the symbols of the field.

    >>> sentences("no fit; raw leads: of the denoised curve, it is noise; it is noise; alpha ended on a bound")
    ['no fit', 'raw leads: of the denoised curve, it is noise', 'raw leads: α ended on a bound']
    """
    said: list[str] = []
    before = ""
    for part in filter(None, flag.split("; ")):
        if part.startswith(_RAW_LEADS):
            before = _RAW_LEADS
        words = before + part.removeprefix(_RAW_LEADS)
        if not any(earlier == words or earlier.endswith(f", {part}") for earlier in said):
            said.append(words)
    for name, symbol in _SYMBOLS.items():
        said = [words.replace(name, symbol) for words in said]
    return said


def _common(said: list[str]) -> str:
    """One sentence for several that differ in their numbers only."""
    numbers = [sorted(set(own), key=float) for own in zip(*(_NUMBER.findall(one) for one in said), strict=True)]
    spans = iter([own[0] if len(own) == 1 else f"{own[0]}–{own[-1]}" for own in numbers])
    return _NUMBER.sub(lambda _: next(spans), said[0])


def _mark(place: int) -> str:
    """a to z, then aa to zz, and so on."""
    return ascii_lowercase[place % 26] * (place // 26 + 1)
