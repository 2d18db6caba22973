"""The commands of ``twotime``; each does its work in a module of its own, imported when it is called."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from twotime.errors import TwotimeError

P = ParamSpec("P")

app = typer.Typer(
    help="X-ray photon correlation spectroscopy: from detector frames in Tiled to denoised dynamics in Tiled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TiledUri = Annotated[
    str | None, typer.Option("--tiled", help="Tiled server; default TWOTIME_TILED_URI, else the embedded one")
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="recipe as JSON or YAML; default: everything from the run")
]


def says_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print what went wrong as a sentence and leave with 1, instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (TwotimeError, ValueError) as error:
            Console(stderr=True).print(str(error), style="red", highlight=False, markup=False)
            sys.exit(1)

    return wrapped
