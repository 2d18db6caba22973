"""Many scans beside each other: one tidy table against a field of the runs, and laws through it.

Pure: `twotime.catalog` reads what is needed from Tiled and hands it over as `ScanResult`.
"""

from twotime.series.fields import SCAN_NUMBER, TIME, Field, offered, scalars
from twotime.series.laws import LAWS, Law, LawFit, fit_law
from twotime.series.table import OF_ROIS, OF_SCANS, QUANTITIES, Group, ScanResult, Series, laws_of, series

__all__ = [
    "LAWS",
    "OF_ROIS",
    "OF_SCANS",
    "QUANTITIES",
    "SCAN_NUMBER",
    "TIME",
    "Field",
    "Group",
    "Law",
    "LawFit",
    "ScanResult",
    "Series",
    "fit_law",
    "laws_of",
    "offered",
    "scalars",
    "series",
]
