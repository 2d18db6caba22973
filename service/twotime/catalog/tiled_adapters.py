"""An HDF5 adapter for Tiled servers that follows no link to files outside the folders that the server may read.

Tiled checks where a file lies. HDF5 then follows links in it to any file that the user of the server can read.
The embedded server uses this adapter. Other servers use it with::

    catalog:
      adapters_by_mimetype:
        application/x-hdf5: twotime.catalog.tiled_adapters:HDF5Inside

and with the folders, as a JSON list, in the environment variable TWOTIME_DETECTOR_DIRS; without them a file may link to
others in its own folder. Servers name this module in their configuration: it must not move.
"""

import json
import os
from pathlib import Path
from typing import Any

from tiled.adapters.hdf5 import HDF5Adapter
from tiled.utils import BrokenLink, path_from_uri

from twotime.hdf5 import HDF5File, LeadsOutside

FOLDERS = "TWOTIME_DETECTOR_DIRS"
"""Environment variable with the folders."""


class HDF5Inside(HDF5Adapter):  # type: ignore[misc]  # Tiled has no types here
    """Tiled's HDF5 adapter, with a check of all links.

    Notes
    -----
    The file is checked before Tiled opens it, so somebody who may write into the folders could exchange it in between.
    Frames that `twotime.hdf5` reads in place are checked on the opened file.
    """

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, dataset: str | list[str] = "/", **options: Any) -> Any:
        """See `tiled.adapters.hdf5.HDF5Adapter.from_catalog`; BrokenLink is raised where a file leads outside."""
        place = dataset if isinstance(dataset, str) else "/".join(dataset)
        for asset in data_source.assets:
            _check(path_from_uri(asset.data_uri), place)
        return super().from_catalog(data_source, node, dataset=dataset, **options)


def _check(path: Path, place: str) -> None:
    folders = [Path(folder) for folder in json.loads(os.environ.get(FOLDERS, "[]"))]
    try:
        with HDF5File(path, folders) as file:
            file.check(place)
    except LeadsOutside as error:
        raise BrokenLink(f"{path.name} is not served: {error}.") from None
    except OSError as error:
        raise BrokenLink(f"{path.name} cannot be read: {error}.") from None
