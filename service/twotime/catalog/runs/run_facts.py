"""What a run says about its detector, geometry and frames, as an analysis needs it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databroker.client import BlueskyRun
from tiled.client.array import ArrayClient
from tiled.client.container import Container

from twotime.catalog.runs.detector_files import master_file, reachable_files
from twotime.catalog.runs.document_values import (
    first_number,
    integer_or_none,
    list_or_empty,
    mapping_or_empty,
    number_or_none,
    sample_name,
)
from twotime.catalog.server.access_tags import tags_of
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import RecipeError, RunStillRunning, UnusableRun
from twotime.files import denoised_file, detector_of, master_geometry
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts
from twotime.results import DENOISED_FRAMES

CONFIGURATION_KEYS = {
    "beam_center_y": "beam_center_y",
    "beam_center_x": "beam_center_x",
    "distance_m": "det_distance",
    "wavelength_angstrom": "wavelength",
    "frame_time_s": "cam_acquire_period",
    "pixel_size_m": "x_pixel_size",
}
"""Keys of the geometry in the descriptor's configuration at CHX, each after ``<detector>_``."""
MOST_PIXELS = 100_000_000
"""Largest frame, mask or label array; more than any detector has, so that a wrong document cannot exhaust memory."""
START_KEYS = {"frame_time_s": "acquire period"}
"""Keys in the start document, where CHX writes numbers as text."""


@dataclass(frozen=True)
class ImageNode:
    """The frames of one detector in one stream of a run.

    Attributes
    ----------
    key : image key, such as ``eiger4m_single_image``
    node : the array in Tiled, of shape (..., H, W)
    descriptor : metadata of the stream
    stream : name of the stream
    """

    key: str
    node: ArrayClient
    descriptor: Mapping[str, Any]
    stream: str = "primary"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W), with all leading axes counted as frames."""
        *leading, height, width = self.node.shape
        n_frames = 1
        for length in leading:
            n_frames *= int(length)
        return n_frames, int(height), int(width)


def run_facts(
    run: BlueskyRun,
    detector: str | None = None,
    *,
    accept_failed: bool = False,
    running: bool = False,
    direct: bool = True,
    path_map: Mapping[str, str] | None = None,
    folders: Sequence[Path] = (),
) -> RunFacts:
    """The facts of a run that an analysis needs.

    Parameters
    ----------
    detector : image key, with or without ``_image``, in any case; None: the area detector found, Eigers first
    accept_failed : accept a run that did not end with success
    running : accept a run that has not ended; it counts as many frames as announced or present, whichever is more
    direct, path_map, folders : whether and where to read the master file for what the documents do not say;
        see `twotime.catalog.runs.detector_files.reachable_files`

    Raises
    ------
    RunStillRunning
        If there is no stop document yet.
    UnusableRun
        If the run failed, or holds no area detector or no frames.
    RecipeError
        If it holds no detector of that name.
    """
    start = run.metadata["start"]
    if not running:
        _refuse_unfinished(start["uid"], run.metadata.get("stop"), accept_failed)
    image = find_image(run, detector)
    data = _configuration(image)
    announced = integer_or_none(first_number(data.get("cam_num_images"), start.get("number of images")))
    n_frames, height, width = image.shape
    if running:
        n_frames = max(n_frames, announced or 0)
    if n_frames == 0:
        raise UnusableRun(f"Run {start['uid'][:8]} holds no frames of {image.key}; was the shutter series started?")
    if height * width > MOST_PIXELS:
        raise UnusableRun(
            f"Run {start['uid'][:8]} announces frames of {height} x {width} pixels of {image.key}; "
            f"{MOST_PIXELS} pixels are the most."
        )
    master = master_file(image.node, path_map or {}, folders) if direct else None
    kind = detector_of(image.key)
    return RunFacts(
        uid=start["uid"],
        detector=image.key,
        shape=(n_frames, height, width),
        scan_id=integer_or_none(start.get("scan_id")),
        sample=sample_name(start),
        start_time=first_number(start.get("time")),
        geometry=dict(_geometry(image, start, master)),
        orientation="raw" if kind is None else kind.orientation,
        shortest_frame_time_s=None if kind is None else kind.shortest_frame_time_s,
        exposure_s=first_number(data.get("cam_acquire_time"), start.get("exposure time")),
        announced=announced,
        frames_per_file=integer_or_none(data.get("images_per_file")),
        analysis=str(start.get("analysis") or ""),
        access_tags=tuple(tags_of(run) or ()),
        scalars=_scalars(image),
        denoised=_denoised(start, image, (path_map or {}, folders) if direct else None),
    )


def find_image(run: BlueskyRun, detector: str | None = None) -> ImageNode:
    """The frames to analyse; see `run_facts` for `detector` and errors."""
    uid = run.metadata["start"]["uid"]
    with tiled_errors():
        images = image_nodes(run)
    if not images:
        raise UnusableRun(f"Run {uid[:8]} {_why_no_images(run)}")
    if detector is None:
        return images[0]
    wanted = detector.lower()
    for image in images:
        if image.key.lower() in (wanted, f"{wanted}_image"):
            return image
    there = ", ".join(image.key for image in images)
    raise RecipeError(f"detector is {detector!r}, but run {uid[:8]} holds frames of {there}; name one of these.")


def image_nodes(run: BlueskyRun) -> list[ImageNode]:
    """Frames of all area detectors in all streams: an Eiger first, then the largest."""
    images = []
    for name in run:
        stream = run[name]
        container = getattr(stream, "base", stream)
        if not isinstance(container, Container):
            continue
        for key, description in mapping_or_empty(stream.metadata.get("data_keys")).items():
            if mapping_or_empty(description).get("dtype") != "array":
                continue  # Saves a request per key; a run may have hundreds of scalars.
            node = container.get(key)
            if isinstance(node, ArrayClient) and node.ndim >= 3 and node.dtype.kind in "uif":
                images.append(ImageNode(key, node, stream.metadata, name))
    return sorted(images, key=lambda image: ("eiger" not in image.key.lower(), -image.node.size))


def _why_no_images(run: BlueskyRun) -> str:
    with tiled_errors():
        streams = [mapping_or_empty(run[name].metadata.get("data_keys")) for name in run]
    keys = {key: data_key for data_keys in streams for key, data_key in data_keys.items()}
    external = {
        key: mapping_or_empty(data_key) for key, data_key in keys.items() if "external" in mapping_or_empty(data_key)
    }
    announced = [key for key, data_key in external.items() if len(list_or_empty(data_key.get("shape"))) >= 2]
    if announced:
        return (
            f"holds no frames of {', '.join(announced)}, which it announces; "
            "look whether the detector was triggered and whether its frames are registered in Tiled as an array."
        )
    return "has no area detector: no stream holds an array of frames (frames, rows, columns)."


def _refuse_unfinished(uid: str, stop: Mapping[str, Any] | None, accept_failed: bool) -> None:
    if not stop:
        raise RunStillRunning(f"Run {uid[:8]} is still running; ask again when it has ended.")
    status = stop.get("exit_status")
    if status != "success" and not accept_failed:
        reason = f" ({stop['reason']})" if stop.get("reason") else ""
        raise UnusableRun(
            f"Run {uid[:8]} ended with exit_status {status!r}{reason}; "
            "set frames.accept_failed_run to true in the recipe to analyse what it holds."
        )


def _scalars(image: ImageNode) -> tuple[str, ...]:
    """Names of the numbers that the run records with each event of the detector's stream."""
    data_keys = mapping_or_empty(image.descriptor.get("data_keys")).items()
    described = {key: mapping_or_empty(data_key) for key, data_key in data_keys}
    return tuple(key for key, one in described.items() if one.get("dtype") in ("number", "integer"))


def _denoised(
    start: Mapping[str, Any], image: ImageNode, files: tuple[Mapping[str, str], Sequence[Path]] | None
) -> str:
    """Where a run says that its frames are denoised ones; empty where it does not."""
    if start.get(DENOISED_FRAMES):
        return f"{DENOISED_FRAMES} in its start document"
    if DENOISED_FRAMES in {spec.name for spec in image.node.specs}:
        return f"spec {DENOISED_FRAMES} of {image.key}"
    found = reachable_files(image.node, *files) if files is not None else []
    return denoised_file(found[0].path, found[0].dataset, files[1]) if found and files is not None else ""


def _configuration(image: ImageNode) -> dict[str, Any]:
    """Configuration of the detector from the descriptor: lower-case keys without the name of the detector."""
    prefix = image.key.lower().removesuffix("_image") + "_"
    data: dict[str, Any] = {}
    for device in mapping_or_empty(image.descriptor.get("configuration")).values():
        data |= mapping_or_empty(mapping_or_empty(device).get("data"))
    return {key.lower().removeprefix(prefix): value for key, value in data.items() if key.lower().startswith(prefix)}


def _geometry(image: ImageNode, start: Mapping[str, Any], master: Path | None) -> Iterator[tuple[str, Found]]:
    """Each field from the first source with a number: descriptor, start document, master file, kind of detector."""
    data = _configuration(image)
    in_master = master_geometry(master) if master is not None else {}
    kind = detector_of(image.key)
    for name in GEOMETRY_UNITS:
        key = CONFIGURATION_KEYS[name]
        recorded, in_start = (
            number_or_none(data.get(key)),
            number_or_none(start.get(START_KEYS[name])) if name in START_KEYS else None,
        )
        if recorded is not None:
            yield name, Found(recorded, f"descriptor configuration {image.key.removesuffix('_image')}_{key}")
        elif in_start is not None:
            yield name, Found(in_start, f"start document {START_KEYS[name]!r}")
        elif name in in_master:
            yield name, in_master[name]
        elif name == "pixel_size_m" and kind is not None:
            yield name, Found(kind.pixel_size_m, "pixel size of every Eiger; the run does not record it")
