"""For the configuration of a Tiled server: HDF5 files that lead to nothing outside the folders that it may read.

Tiled checks where a file lies; HDF5 then follows what is written in it to any file that the server's user can read.
The embedded server uses this adapter; any other does with::

    catalog:
      adapters_by_mimetype:
        application/x-hdf5: twotime.catalog.tiled_adapters:HDF5Inside

and the folders, as a JSON list, in TWOTIME_DETECTOR_DIRS of its environment; without them a file may lead to others of
its own folder.
"""

import json
import os
from pathlib import Path
from typing import Any

from tiled.adapters.hdf5 import HDF5Adapter
from tiled.utils import BrokenLink, path_from_uri

from twotime.hdf5 import HDF5File, LeadsOutside

FOLDERS = "TWOTIME_DETECTOR_DIRS"
"""Variable of the environment that names the folders."""


class HDF5Inside(HDF5Adapter):  # type: ignore[misc]  # Tiled has no types here
    """Tiled's adapter, for files that lead nowhere else.

    Notes
    -----
    The file is checked before Tiled opens it. Whoever may change files in the folders could exchange it in between;
    frames that are read in place, by `twotime.hdf5`, are safe from that too.
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
