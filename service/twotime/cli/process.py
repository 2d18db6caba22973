"""``twotime process``: analyse one run here and now, with a progress bar."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from twotime.errors import RecipeError
from twotime.recipe import Recipe, parse_recipe


def load_recipe(path: Path | None) -> Recipe:
    """Read a recipe from a JSON or YAML file; without a file all defaults.

    Raises
    ------
    RecipeError
        If the file cannot be read or does not hold a recipe.
    """
    if path is None:
        return Recipe()
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read ({error.strerror}); give the path of a file.") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"The recipe {path} is neither JSON nor YAML: {error}") from None
    if document is not None and not isinstance(document, dict):
        raise RecipeError(f"The recipe {path} holds a {type(document).__name__}; it must hold fields such as rois.")
    return parse_recipe(document)


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A progress bar for the stages of an analysis, one line each."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description:<36}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(self, stage: str, fraction: float) -> None:
        """Draw that `stage` is done up to `fraction`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=1.0)
        self._bar.update(self._tasks[stage], completed=fraction)
