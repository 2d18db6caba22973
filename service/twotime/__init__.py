"""X-ray photon correlation spectroscopy from Tiled to Tiled.

Nothing heavy is imported here, so that ``cnn_ed`` can use ``twotime.xpcs`` alone; `estimate` and `estimate_two_time`
are loaded when they are first asked for.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twotime.estimates import estimate, estimate_two_time

__version__ = version("twotime")
__all__ = ["__version__", "estimate", "estimate_two_time"]


def __getattr__(name: str) -> Any:
    if name in ("estimate", "estimate_two_time"):
        from twotime import estimates

        return getattr(estimates, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
