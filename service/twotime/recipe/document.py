"""What all parts of a recipe have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
MOST = 2**53
"""Of whole numbers: beyond it JSON readers round, and Tiled's metadata hold no more than 64 bits."""
Whole = Annotated[int, Field(ge=-MOST, le=MOST)]
Name = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Of a file, a detector or a node in Tiled: no control characters, which no address can hold."""


class Document(BaseModel):
    """A part of a recipe: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
