"""Who computes an analysis: a name for this process that tells others whether it can still be alive."""

import os
import socket
import uuid
from pathlib import Path


def new_owner() -> str:
    """A new name in this process: machine, its boot, process namespace, pid, start time and a random part.

    Examples
    --------
    >>> is_dead(new_owner())
    False
    >>> new_owner() == new_owner()
    False
    """
    return f"{_place()}/{os.getpid()}/{_start_ticks(os.getpid())}/{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether a process is known to be gone; False where it lives, or lives where this process cannot look."""
    place, *process = owner.rsplit("/", 3)
    if place != _place() or len(process) != 3 or not process[0].isdigit():
        return False
    return str(_start_ticks(int(process[0]))) != process[1]


def _place() -> str:
    return f"{socket.gethostname()}/{_read('/proc/sys/kernel/random/boot_id')[:8]}/{_namespace()}"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "-"


def _start_ticks(pid: int) -> int:
    """Start of a process in ticks since boot; 0 where there is no such process, or only its remains."""
    status = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(status[19]) if len(status) > 19 and status[0] not in "ZX" else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
