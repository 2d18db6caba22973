"""From frames to results: `analyse` is the route to dynamics, `denoise_frames` that to denoised frames.

`plan` and `plan_frames` are their dry runs; `kinds` chooses between them by the recipe. Reading, publishing and
progress stand outside, behind the Protocols of `protocols`.
"""

from twotime.pipeline.analyse import analyse, versions_of
from twotime.pipeline.denoising import denoise_frames, frame_versions_of
from twotime.pipeline.frame_planning import FramePlan, plan_frames
from twotime.pipeline.kinds import AnyPlan, analysis_of, kind_versions, plan_of
from twotime.pipeline.planning import Plan, plan
from twotime.pipeline.protocols import FrameSource, Progress, ResultSink, ScanVariable, no_progress

__all__ = [
    "AnyPlan",
    "FramePlan",
    "FrameSource",
    "Plan",
    "Progress",
    "ResultSink",
    "ScanVariable",
    "analyse",
    "analysis_of",
    "denoise_frames",
    "frame_versions_of",
    "kind_versions",
    "no_progress",
    "plan",
    "plan_frames",
    "plan_of",
    "versions_of",
]
