"""Number of analysed frames and the time between them, from the recipe."""

from typing import Any

from twotime.catalog.results.analysis_record import AnalysisRecord


def frame_time_s(record: AnalysisRecord) -> float:
    """Time between two analysed frames, s."""
    frames = record.recipe["frames"]
    return float(record.recipe["geometry"]["frame_time_s"]) * int(frames["stride"]) * _bin(frames)


def n_frames(record: AnalysisRecord) -> int:
    """Number of analysed frames."""
    frames = record.recipe["frames"]
    return len(range(frames["start"], frames["stop"], frames["stride"])) // _bin(frames)


def _bin(frames: dict[str, Any]) -> int:
    """Number of frames added to one; 1 for analyses of versions without binning."""
    return int(frames.get("bin", 1))
