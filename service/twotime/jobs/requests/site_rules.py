"""Rules of the site: which recipe a finished run gets, and which runs are skipped. The first rule that fits decides."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twotime.catalog.runs.document_values import field_of
from twotime.errors import RecipeError
from twotime.recipe import AnalysisKind, AnyRecipe, load_recipe


class SiteRule(BaseModel):
    """One rule; it fits a run if every field of `where` does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="for the listing of runs")
    where: dict[str, str | int | float | bool] = Field(
        {}, description="fields of the start document (a.b for inner ones) and `detectors`; * and ? stand for any text"
    )
    recipe: str | None = Field(None, description="file beside the rules; none: the recipe of the site")
    skip: str | None = Field(None, description="leave these runs alone, for this reason")
    priority: Literal["normal", "low"] = Field(
        "normal", description="low: analyse these runs when nobody waits for another one"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "SiteRule":
        if self.recipe is not None and self.skip is not None:
            raise ValueError(f"rule {self.name!r} has a recipe and a reason to skip; drop one of the two")
        return self

    def fits(self, start: Mapping[str, Any], detectors: Sequence[str]) -> bool:
        """Whether the rule fits a run."""
        return all(_fits(wanted, _field(field, start, detectors)) for field, wanted in self.where.items())


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[SiteRule, ...]


class SiteRules:
    """The rules of a site, in order.

    Parameters
    ----------
    rules : each with its recipe, if it names one
    """

    def __init__(self, rules: Sequence[tuple[SiteRule, AnyRecipe | None]] = ()) -> None:
        self._rules = tuple(rules)

    @property
    def kinds(self) -> set[AnalysisKind]:
        """Kinds of analysis that the recipes of the rules ask for."""
        return {recipe.kind for recipe in self.recipes}

    @property
    def recipes(self) -> tuple[AnyRecipe, ...]:
        """Recipes of the rules."""
        return tuple(recipe for _, recipe in self._rules if recipe is not None)

    def of(self, start: Mapping[str, Any], detectors: Sequence[str]) -> tuple[SiteRule | None, AnyRecipe | None]:
        """The first rule that fits a run, and its recipe; None for what does not exist."""
        return next((found for found in self._rules if found[0].fits(start, detectors)), (None, None))


def load_site_rules(path: Path | None) -> SiteRules:
    """Read the rules and their recipes from a YAML or JSON file.

    Raises
    ------
    RecipeError
        If a file cannot be read, or a rule contradicts itself; names file and rule.
    """
    if path is None:
        return SiteRules()
    try:
        document = yaml.safe_load(path.read_text())
        rules = _Rules.model_validate(document).rules
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"The rules {path} cannot be read as YAML or JSON: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'rules'}: {one['msg']}" for one in error.errors())
        raise RecipeError(f"The rules {path} cannot be used. {problems}.") from None
    return SiteRules(
        [(rule, None if rule.recipe is None else load_recipe(path.parent / rule.recipe)) for rule in rules]
    )


def _field(name: str, start: Mapping[str, Any], detectors: Sequence[str]) -> Any:
    if name == "detectors":
        return list(detectors)
    return field_of(start, name)


def _fits(wanted: str | float | bool, found: Any) -> bool:
    """Compare text without case, lists by any entry, and numbers also with text, because CHX writes numbers as text."""
    if isinstance(found, list | tuple):
        return any(_fits(wanted, one) for one in found)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if found is None:
        return False
    if isinstance(wanted, str):
        return fnmatchcase(str(found).lower(), wanted.lower())
    try:
        return float(found) == float(wanted)
    except (TypeError, ValueError, OverflowError):
        return False
