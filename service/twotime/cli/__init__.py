"""The command line: ``twotime``."""

from twotime.cli.app import app
from twotime.cli.frames import frames

app.add_typer(frames, name="frames")

__all__ = ["app"]
