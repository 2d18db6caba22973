"""Scheduling: which runs are analysed, when, in which process, and what happens when something dies.

`Service` is all that the layers above need.
"""

from twotime.jobs.service import Service

__all__ = ["Service"]
