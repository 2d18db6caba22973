"""The version of the numbers, which is part of the id of an analysis."""

NUMERICS = "2"
"""Version of everything in the code that decides a published number.

Raise it by one, in the commit that changes the numbers, when the same run, recipe, ensemble and estimator give another
number than before: another formula, threshold, start value, grouping or order of steps, another meaning of a recipe
value, or another reading of geometry, masks and frames. The analyses made before keep their ids and stay readable, and
the same request then gets a new id.

Leave it for what changes no number: names, speed, metadata, pictures, new columns and tables, new options that are
off by default. Recipe values and the versions of the weights are part of the id by themselves. Numbers count as changed
when `tests/unit/test_numerics.py` says so: more than 0.1 %, which is beyond what processors and libraries differ by.
"""

FRAME_NUMERICS = "1"
"""The same for denoised frames, which change by themselves."""
