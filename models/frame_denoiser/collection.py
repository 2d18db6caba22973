"""Collected runs on disk: a folder with one file for each run and the list that vouches for them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frame_denoiser.collected import CollectedRun

LIST = "runs.json"
MOST_BYTES = 2**31
"""Counts that training keeps in memory."""


@dataclass(frozen=True)
class StoredRun:
    """One run of a collection.

    Attributes
    ----------
    uid, scan_id, sample, detector : of the run
    group : name that runs of the same scattering share
    frames : number of frames that were taken
    shape : rows and columns
    file, sha256 : in the folder, and its checksum
    """

    uid: str
    scan_id: int | None
    sample: str | None
    detector: str
    group: str
    frames: int
    shape: tuple[int, int]
    file: str
    sha256: str


class Collection:
    """A folder of collected runs, which grows run by run and goes on where it was stopped.

    Parameters
    ----------
    folder : made where it is not there
    options : what decides how frames are taken; all runs of a folder are taken alike

    Attributes
    ----------
    runs : stored so far, by uid

    Raises
    ------
    ValueError
        If the folder holds runs that were taken otherwise.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self._folder = folder
        self._options = options
        folder.mkdir(parents=True, exist_ok=True)
        self.runs: dict[str, StoredRun] = {}
        if (folder / LIST).is_file():
            found = json.loads((folder / LIST).read_text())
            if found["options"] != options:
                raise ValueError(
                    f"{folder} holds runs taken with {found['options']}, expected {options}; name another."
                )
            self.runs = {one["uid"]: _stored(one) for one in found["runs"]}

    def has(self, uid: str) -> bool:
        """Whether a run is there, and its file is the one that was written."""
        known = self.runs.get(uid)
        return known is not None and _sha256(self._folder / known.file) == known.sha256

    def add(
        self,
        uid: str,
        counts: NDArray[np.generic],
        mask: NDArray[np.bool_],
        *,
        scan_id: int | None,
        sample: str | None,
        detector: str,
        group: str,
    ) -> StoredRun:
        """Store the frames (F, H, W) of a run, in the smallest type that holds them, and write the list anew."""
        file = f"{uid}.npz"
        partial = self._folder / f".{file}.partial"
        smallest = np.min_scalar_type(int(counts.max(initial=0)))
        with partial.open("wb") as opened:
            np.savez_compressed(opened, counts=counts.astype(smallest), mask=mask)
        partial.replace(self._folder / file)
        frames, height, width = counts.shape
        sha256 = _sha256(self._folder / file)
        one = StoredRun(uid, scan_id, sample, detector, group, frames, (height, width), file, sha256)
        self.runs[uid] = one
        described = {"options": self._options, "runs": [asdict(run) for run in self.runs.values()]}
        draft = self._folder / f".{LIST}.partial"
        draft.write_text(json.dumps(described, indent=1) + "\n")
        draft.replace(self._folder / LIST)
        return one


def read_collection(
    folder: Path, *, validation: float = 0.0, held_out: bool = False, told: Callable[[str], None] | None = None
) -> list[CollectedRun]:
    """Runs of a collection, as many as fit the memory.

    Parameters
    ----------
    folder : that `Collection` wrote
    validation : share of the groups that are kept for validation, chosen by a hash of their names: a group keeps its
        place as the collection grows
    held_out : the runs of that share instead of the others
    told : hears a sentence where runs are left out

    Raises
    ------
    ValueError
        If the folder is no collection, a file is not the one that was written, or no run is left.
    """
    if not (folder / LIST).is_file():
        raise ValueError(f"{folder} holds no {LIST}, expected a folder that twotime frames collect wrote.")
    stored = [_stored(one) for one in json.loads((folder / LIST).read_text())["runs"]]
    own = [run for run in stored if (place_of(run.group) < validation) == held_out]
    if not own:
        which = "validation" if held_out else "training"
        raise ValueError(f"No run of {folder} is left for {which}; collect more runs or change the share.")
    found: list[CollectedRun] = []
    size = 0
    for run in own:
        if _sha256(folder / run.file) != run.sha256:
            raise ValueError(
                f"{folder / run.file} is not the file that was collected (sha256 differs); remove it and collect again."
            )
        with np.load(folder / run.file, allow_pickle=False) as arrays:
            counts, mask = arrays["counts"], arrays["mask"]
        size += counts.nbytes
        if found and size > MOST_BYTES:
            if told is not None:
                told(f"Only {len(found)} of {len(own)} runs fit {MOST_BYTES / 2**30:g} GiB; the others are left out.")
            break
        found.append(CollectedRun(run.uid, run.group, counts, mask))
    return found


def place_of(group: str) -> float:
    """A number between 0 and 1 that belongs to the name of a group."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64


def _stored(one: dict[str, Any]) -> StoredRun:
    height, width = one["shape"]
    return StoredRun(**{**one, "shape": (height, width)})


def _sha256(file: Path) -> str:
    """Checksum of a file; empty where there is none."""
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
