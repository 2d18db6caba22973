"""Names of processes in claims, from which another process of the same machine can tell whether they still live."""

import os
import socket
import uuid
from pathlib import Path


def new_owner() -> str:
    """A new owner name for this process: machine, boot, PID namespace, pid, start time and a random part.

    The start time tells the process from a later one with the same pid, boot and namespace tell machines and containers
    with the same host name apart.

    Examples
    --------
    >>> is_dead(new_owner())
    False
    >>> new_owner() == new_owner()
    False
    """
    return f"{_place()}/{os.getpid()}/{_start_ticks(os.getpid())}/{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether a process has certainly ended; False if it lives, or runs where this process cannot look."""
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
    """Start time of a process in ticks since boot; 0 if there is none or it is a zombie."""
    status = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(status[19]) if len(status) > 19 and status[0] not in "ZX" else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
