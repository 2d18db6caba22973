"""Reading a recipe of either kind from plain data or from a file."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from twotime.errors import RecipeError
from twotime.recipe.frame_recipe import FrameRecipe
from twotime.recipe.options import Recipe, sentence

AnyRecipe = Recipe | FrameRecipe
AnalysisKind = Literal["xpcs", "frames"]
RECIPES: dict[AnalysisKind, type[Recipe] | type[FrameRecipe]] = {"xpcs": Recipe, "frames": FrameRecipe}


def parse_recipe(document: dict[str, Any] | None) -> AnyRecipe:
    """Read a recipe from plain data; one of correlation functions unless its `kind` says frames.

    Raises
    ------
    RecipeError
        On unknown keys, wrong units or contradictions; names the field, its value and what is expected.
    """
    document = {} if document is None else document
    kind = document.get("kind", "xpcs") if isinstance(document, dict) else "xpcs"
    recipe = next((one for name, one in RECIPES.items() if name == kind), None)
    if recipe is None:
        raise RecipeError(f"kind is {kind!r}, but analyses are of the kinds {', '.join(RECIPES)}; name one of these.")
    try:
        return recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError(" ".join(sentence(item) for item in error.errors())) from None


def load_recipe(path: Path | None) -> AnyRecipe:
    """Read a recipe from a JSON or YAML file; the default recipe where there is no file.

    Raises
    ------
    RecipeError
        If the file cannot be read or holds no recipe; names the file.
    """
    if path is None:
        return Recipe()
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"The recipe {path} cannot be read as JSON or YAML: {error}") from None
    if not isinstance(document, dict):
        raise RecipeError(f"The recipe {path} holds no fields, such as rois: ...; see the README for an example.")
    try:
        return parse_recipe(document)
    except RecipeError as error:
        raise RecipeError(f"The recipe {path} cannot be used. {error}") from None
