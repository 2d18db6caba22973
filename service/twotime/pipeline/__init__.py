"""From frames to dynamics: `analyse` is the whole route, `plan` is its dry run.

Reading, publishing and progress stand outside, behind the Protocols of `protocols`.
"""

from twotime.pipeline.analyse import analyse, versions_of
from twotime.pipeline.planning import Plan, plan
from twotime.pipeline.protocols import FrameSource, Progress, ResultSink, no_progress

__all__ = ["FrameSource", "Plan", "Progress", "ResultSink", "analyse", "no_progress", "plan", "versions_of"]
