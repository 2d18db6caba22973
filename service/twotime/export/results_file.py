"""A whole analysis in one HDF5 file that explains itself."""

import json
from pathlib import Path

import h5py

from twotime.results import DENOISED_FRAMES, NODES, Analysis


def write_results(path: Path, analysis: Analysis) -> None:
    """Write all arrays and tables, whole or not at all.

    Parameters
    ----------
    path : of the file; each table is a group of columns, each array and group carries its unit, axes, equation and
        description, and the file the resolved recipe, warnings and versions
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with h5py.File(draft, "w") as file:
        file.attrs["recipe"] = json.dumps(analysis.resolved)
        file.attrs["warnings"] = json.dumps(analysis.warnings)
        file.attrs["versions"] = json.dumps(analysis.versions)
        if analysis.kind == "frames":
            file.attrs[DENOISED_FRAMES] = True
        for node in NODES:
            if node.name in analysis.arrays:
                array = analysis.arrays[node.name]
                written = file.create_dataset(node.name, data=array, compression="gzip" if array.ndim > 1 else None)
            elif node.name in analysis.tables:
                written = file.create_group(node.name)
                for name, column in analysis.tables[node.name].items():
                    text = column.dtype.kind not in "biuf"
                    values = column.astype(str).to_numpy(object) if text else column.to_numpy()
                    written.create_dataset(str(name), data=values, dtype=h5py.string_dtype() if text else None)
            else:
                continue
            written.attrs["axes"] = json.dumps(node.axes)
            written.attrs["unit"] = node.unit
            written.attrs["equation"] = node.equation
            written.attrs["description"] = node.description
    draft.replace(path)
