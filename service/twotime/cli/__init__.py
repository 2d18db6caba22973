"""The command line: ``twotime``."""

from twotime.cli.app import app

__all__ = ["app"]
