"""Many scans beside each other: one tidy table against a field of the runs, and laws through it.

Pure: `twotime.catalog` reads what is needed from Tiled and hands it over as `ScanResult`.
"""

from twotime.series.curves import MOST_CURVES, CurveKind, curves_of
from twotime.series.dynamics_map import DynamicsMap, dynamics_map, unlike_scans
from twotime.series.fields import SCAN_NUMBER, TIME, Field, offered, scalars
from twotime.series.laws import LAWS, Law, LawFit, fit_law
from twotime.series.table import OF_ROIS, OF_SCANS, QUANTITIES, Group, ScanResult, Series, laws_of, series

__all__ = [
    "LAWS",
    "MOST_CURVES",
    "OF_ROIS",
    "OF_SCANS",
    "QUANTITIES",
    "SCAN_NUMBER",
    "TIME",
    "CurveKind",
    "DynamicsMap",
    "Field",
    "Group",
    "Law",
    "LawFit",
    "ScanResult",
    "Series",
    "curves_of",
    "dynamics_map",
    "fit_law",
    "laws_of",
    "offered",
    "scalars",
    "series",
    "unlike_scans",
]
