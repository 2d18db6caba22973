"""A verdict as data: statements of codes, values with errors, ROIs, and the picture that shows each."""

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["good", "note", "mind"]
"""good: an answer; note: worth knowing; mind: look before you rely on the numbers."""
Picture = Literal["table", "two_time", "g2", "dispersion", "age", "intensity", "frames", "peaks", "regions"]


@dataclass(frozen=True)
class Quantity:
    """A number with its standard error.

    Attributes
    ----------
    value, error : the error is 0 for counts of things, which are exact
    unit : "1" where there is none
    """

    value: float
    error: float
    unit: str = "1"


@dataclass(frozen=True)
class Statement:
    """One thing that the numbers say.

    Attributes
    ----------
    code : what is said, one of `twotime.verdict.words.SENTENCES`
    level : see `Level`
    values : by name, see the sentence of the code
    rois : numbers of the ROIs it is about
    picture : on which it can be seen
    """

    code: str
    level: Level
    values: dict[str, Quantity]
    rois: tuple[int, ...]
    picture: Picture


@dataclass(frozen=True)
class Verdict:
    """Statements with their sentences, the most important first.

    Attributes
    ----------
    statements : what the numbers say
    sentences : one for each statement
    """

    statements: tuple[Statement, ...]
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences in a row."""
        return " ".join(self.sentences)

    def document(self) -> list[dict[str, Any]]:
        """Plain data for metadata and JSON: one object per statement."""
        return [
            {
                "code": one.code,
                "level": one.level,
                "sentence": sentence,
                "values": {
                    name: {"value": item.value, "error": item.error, "unit": item.unit}
                    for name, item in one.values.items()
                },
                "rois": list(one.rois),
                "picture": one.picture,
            }
            for one, sentence in zip(self.statements, self.sentences, strict=True)
        ]
