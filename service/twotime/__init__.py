"""X-ray photon correlation spectroscopy from Tiled to Tiled.

Nothing heavy is imported here, so that ``cnn_ed`` can use ``twotime.xpcs`` alone.
"""

from importlib.metadata import version

__version__ = version("twotime")
