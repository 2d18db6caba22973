"""Runs in Tiled: finding one, listing them, and reading what a run says of itself."""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databroker.client import BlueskyRun, CatalogOfBlueskyRuns
from databroker.queries import Comparison, Eq, PartialUID, ScanID, TimeRange
from tiled.client.array import ArrayClient
from tiled.client.container import Container
from tiled.queries import KeyPresent

from twotime.catalog.access import tags_of
from twotime.catalog.client import tiled_errors
from twotime.catalog.places import master_file
from twotime.errors import AmbiguousRun, RecipeError, RunNotFound, RunStillRunning, UnusableRun
from twotime.files import detector_of, master_geometry
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts
from twotime.recipe.document import MOST

CONFIGURATION_KEYS = {
    "beam_center_y": "beam_center_y",
    "beam_center_x": "beam_center_x",
    "distance_m": "det_distance",
    "wavelength_angstrom": "wavelength",
    "frame_time_s": "cam_acquire_period",
    "pixel_size_m": "x_pixel_size",
}
"""Names under which the descriptor's configuration holds the geometry at CHX, each after ``<detector>_``."""
MOST_PIXELS = 100_000_000
"""Of a frame, a mask or a label array: all there are, and more, but not what a wrong document may announce."""
_LONGEST_TEXT = 200
_PAGE = 100  # Tiled refuses pages of more than 300
_MOST_SEEN = 10_000
_seen_detectors: OrderedDict[str, tuple[str, ...]] = OrderedDict()
START_KEYS = {"frame_time_s": "acquire period"}
"""Names in the start document, where CHX writes numbers as text."""


@dataclass(frozen=True)
class RunSummary:
    """One line about a run.

    Attributes
    ----------
    uid, scan_id, sample, plan_name : from the start document
    time : start of the run, s since 1970
    exit_status : from the stop document; None while the run goes on
    detectors : image keys of the area detectors in its streams
    start, stop : the documents
    """

    uid: str
    scan_id: int | None
    sample: str | None
    plan_name: str | None
    time: float
    exit_status: str | None
    detectors: tuple[str, ...]
    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.stop is not None


@dataclass(frozen=True)
class ImageNode:
    """The frames of one detector in one stream of a run.

    Attributes
    ----------
    key : image key, such as ``eiger4m_single_image``
    node : the array in Tiled, of shape (..., H, W)
    descriptor : metadata of the stream
    """

    key: str
    node: ArrayClient
    descriptor: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W), whatever way the leading axes are divided."""
        *leading, height, width = self.node.shape
        n_frames = 1
        for length in leading:
            n_frames *= int(length)
        return n_frames, int(height), int(width)


def find_run(raw: CatalogOfBlueskyRuns, reference: str | int) -> BlueskyRun:
    """Find a run.

    Parameters
    ----------
    raw : catalog of the raw runs
    reference : uid, beginning of a uid, scan_id (the newest run that has it, as beamlines count anew now and then),
        or -1 for the newest run, -2 for the one before

    Raises
    ------
    RunNotFound
        If nothing fits.
    AmbiguousRun
        If the beginning of a uid fits several runs.
    """
    text = str(reference).strip()
    with tiled_errors():
        if re.fullmatch(r"-?[0-9]{1,7}", text):
            return _checked(_by_number(raw, int(text)), text)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", text):
            raise RunNotFound(
                f"{text!r} is neither a uid, nor its beginning, nor a scan_id, nor -1 for the newest run."
            )
        try:
            return _checked(raw[text] if len(text) >= 36 else _by_partial_uid(raw, text), text)
        except KeyError:
            raise RunNotFound(f"No run has the uid {text!r}; ask with a uid, its beginning, a scan_id or -1.") from None


def is_run(node: Any) -> bool:
    """Whether a node is a run whose documents can be read; others are passed over, as anything may be written there."""
    return isinstance(node, BlueskyRun) and has_documents(node.metadata)


def has_documents(metadata: Any) -> bool:
    """Whether metadata hold a start document with a uid, and a stop document or none.

    Examples
    --------
    >>> has_documents({"start": {"uid": "6a1f3c2b"}, "stop": None}), has_documents({"start": {}}), has_documents(5)
    (True, False, False)
    """
    start, stop = _fields(_fields(metadata).get("start")), _fields(metadata).get("stop")
    uid = start.get("uid")
    return isinstance(uid, str) and uid != "" and (not stop or isinstance(stop, Mapping))


def list_runs(raw: CatalogOfBlueskyRuns, *, limit: int = 20, since: float | None = None) -> list[RunSummary]:
    """The newest runs, newest first.

    Parameters
    ----------
    limit : at most so many
    since : only runs that began after this time, s since 1970
    """
    with tiled_errors():
        found = raw if since is None else raw.search(TimeRange(since=since))
        newest, end = found.sort(("start.time", -1)).values(), min(limit, len(found))
        pages = [newest[first : min(first + _PAGE, end)] for first in range(0, end, _PAGE)]
        return [summarise(run) for page in pages for run in page if is_run(run)]


def search_runs(
    raw: CatalogOfBlueskyRuns,
    *,
    sample: str | None = None,
    first_scan_id: int | None = None,
    last_scan_id: int | None = None,
    since: float | None = None,
    until: float | None = None,
    limit: int = 100,
) -> list[tuple[str, int | None]]:
    """Uids and scan_ids of finished runs that fit everything given, newest first.

    Parameters
    ----------
    sample : its name in the start document
    first_scan_id, last_scan_id : both ends count
    since, until : the run began then, s since 1970

    Raises
    ------
    RunNotFound
        If nothing is given, for then all runs would fit.
    """
    if all(value is None for value in (sample, first_scan_id, last_scan_id, since, until)):
        raise RunNotFound("Nothing says which runs; give sample, first_scan_id and last_scan_id, since or until.")
    with tiled_errors():
        found = raw.search(KeyPresent("stop.uid"))
        if sample is not None:
            found = found.search(Eq("start.sample", sample))
        if first_scan_id is not None:
            found = found.search(Comparison("ge", "start.scan_id", first_scan_id))
        if last_scan_id is not None:
            found = found.search(Comparison("le", "start.scan_id", last_scan_id))
        if since is not None or until is not None:
            found = found.search(TimeRange(since=since, until=until))
        newest = found.sort(("start.time", -1)).values()
        pages = [newest[first : min(first + _PAGE, limit)] for first in range(0, limit, _PAGE)]
        starts = [run.metadata["start"] for page in pages for run in page if is_run(run)]
    return [(start["uid"], _whole(start.get("scan_id"))) for start in starts]


def summarise(run: BlueskyRun) -> RunSummary:
    """One line about a run."""
    start, stop = run.metadata["start"], run.metadata.get("stop")
    with tiled_errors():
        detectors = _detectors(run, start["uid"]) if stop else ()
    return RunSummary(
        uid=start["uid"],
        scan_id=_whole(start.get("scan_id")),
        sample=_sample(start),
        plan_name=_text(start.get("plan_name")),
        time=_first_number(start.get("time")) or 0.0,
        exit_status=_text(stop.get("exit_status")) if stop else None,
        detectors=detectors,
        start=start,
        stop=stop or None,
    )


def _detectors(run: BlueskyRun, uid: str) -> tuple[str, ...]:
    """Image keys of a run that has ended; once seen they stay as they are, and asking takes four requests."""
    found = _seen_detectors.get(uid) or tuple(image.key for image in image_nodes(run))
    if found:
        _seen_detectors[uid] = found
        if len(_seen_detectors) > _MOST_SEEN:
            _seen_detectors.popitem(last=False)
    return found


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
    """What a run says of itself, as far as an analysis needs it.

    Parameters
    ----------
    detector : image key, or the beginning of one, in any case; None: the area detector found, an Eiger before others
    accept_failed : also of a run that did not end with success
    running : also of a run that goes on; its frames are then as many as were announced, or are there already
    direct, path_map, folders : whether and where the detector's master file is looked into, for what the documents do
        not say; see `twotime.catalog.places.reachable_files`

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
    announced = _whole(_first_number(data.get("cam_num_images"), start.get("number of images")))
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
        scan_id=_whole(start.get("scan_id")),
        sample=_sample(start),
        start_time=_first_number(start.get("time")),
        geometry=dict(_geometry(image, start, master)),
        orientation="raw" if kind is None else kind.orientation,
        shortest_frame_time_s=None if kind is None else kind.shortest_frame_time_s,
        exposure_s=_first_number(data.get("cam_acquire_time"), start.get("exposure time")),
        announced=announced,
        frames_per_file=_whole(data.get("images_per_file")),
        analysis=str(start.get("analysis") or ""),
        access_tags=tuple(tags_of(run) or ()),
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
        for key, description in _fields(stream.metadata.get("data_keys")).items():
            if _fields(description).get("dtype") != "array":
                continue  # A request saved: there may be hundreds of scalars.
            node = container.get(key)
            if isinstance(node, ArrayClient) and node.ndim >= 3 and node.dtype.kind in "uif":
                images.append(ImageNode(key, node, stream.metadata))
    return sorted(images, key=lambda image: ("eiger" not in image.key.lower(), -image.node.size))


def _why_no_images(run: BlueskyRun) -> str:
    with tiled_errors():
        keys = {key: one for name in run for key, one in _fields(run[name].metadata.get("data_keys")).items()}
    external = {key: _fields(data_key) for key, data_key in keys.items() if "external" in _fields(data_key)}
    announced = [key for key, data_key in external.items() if len(_list(data_key.get("shape"))) >= 2]
    if announced:
        return (
            f"holds no frames of {', '.join(announced)}, which it announces; "
            "look whether the detector was triggered and whether its frames are registered in Tiled as an array."
        )
    return "has no area detector: no stream holds an array of frames (frames, rows, columns)."


def _checked(run: Any, reference: str) -> BlueskyRun:
    if not is_run(run):
        raise RunNotFound(f"What {reference!r} names is no run: it has no start document with a uid.")
    return run


def _by_number(raw: CatalogOfBlueskyRuns, number: int) -> BlueskyRun:
    if number < 0:
        newest = raw.search(KeyPresent("start.uid")).sort(("start.time", -1)).values()
        try:
            run: BlueskyRun = newest[-number - 1]
        except IndexError:
            raise RunNotFound(f"Run {number} was asked for, but there are only {len(raw)} runs.") from None
        return run
    found = raw.search(ScanID(number, duplicates="all")).sort(("start.time", -1)).values().head(1)
    if found:
        return found[0]
    try:
        return _by_partial_uid(raw, str(number))
    except KeyError:
        raise RunNotFound(f"No run has the scan_id {number}; ask with a uid, its beginning, a scan_id or -1.") from None


def _by_partial_uid(raw: CatalogOfBlueskyRuns, text: str) -> BlueskyRun:
    found = raw.search(PartialUID(text)).values().head(3)
    if not found:
        raise KeyError(text)
    if len(found) > 1:
        uids = ", ".join(run.metadata["start"]["uid"] for run in found if is_run(run))
        raise AmbiguousRun(f"{text!r} is the beginning of several uids ({uids}); give more of it.")
    run: BlueskyRun = found[0]
    return run


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


def _configuration(image: ImageNode) -> dict[str, Any]:
    """The detector's own configuration from the descriptor, without its name, in lower case."""
    prefix = image.key.lower().removesuffix("_image") + "_"
    data: dict[str, Any] = {}
    for device in _fields(image.descriptor.get("configuration")).values():
        data |= _fields(_fields(device).get("data"))
    return {key.lower().removeprefix(prefix): value for key, value in data.items() if key.lower().startswith(prefix)}


def _geometry(image: ImageNode, start: Mapping[str, Any], master: Path | None) -> Iterator[tuple[str, Found]]:
    """Each field from the first that holds a number: descriptor, start document, master file, kind of detector."""
    data = _configuration(image)
    in_master = master_geometry(master) if master is not None else {}
    kind = detector_of(image.key)
    for name in GEOMETRY_UNITS:
        key = CONFIGURATION_KEYS[name]
        recorded, told = _number(data.get(key)), _number(start.get(START_KEYS[name])) if name in START_KEYS else None
        if recorded is not None:
            yield name, Found(recorded, f"descriptor configuration {image.key.removesuffix('_image')}_{key}")
        elif told is not None:
            yield name, Found(told, f"start document {START_KEYS[name]!r}")
        elif name in in_master:
            yield name, in_master[name]
        elif name == "pixel_size_m" and kind is not None:
            yield name, Found(kind.pixel_size_m, "pixel size of every Eiger; the run does not record it")


def _first_number(*values: Any) -> float | None:
    return next((number for number in map(_number, values) if number is not None), None)


def _sample(start: Mapping[str, Any]) -> str | None:
    """Name of the sample; the schema of documents also allows an object in its place."""
    sample = start.get("sample")
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ", ".join(f"{key}: {value}" for key, value in sample.items())
    return _text(sample)


def _fields(value: Any) -> Mapping[str, Any]:
    """A document inside another; no fields where something else stands in its place."""
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str | None:
    """Text for people: on one line, without characters that steer a screen, and no longer than can be asked for."""
    if value is None:
        return None
    shown = (" " if unicodedata.category(letter).startswith("C") else letter for letter in str(value)[:_LONGEST_TEXT])
    return "".join(shown).strip()


def _number(value: Any) -> float | None:
    """A number, also where it is written as text or as an array of one."""
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and abs(number) <= MOST else None
