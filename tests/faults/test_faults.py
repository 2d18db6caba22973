"""A short, seeded round of every fault: nothing lost, nothing double, same numbers; ``make faults`` is the long one."""

import contextlib
import itertools
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.faults.harness import FAULTS, disturb
from tests.faults.site import KEY, Site, usage

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture
def site(tmp_path: Path):
    """A beamline that runs."""
    one = Site(tmp_path)
    one.start()
    yield one
    one.stop()


def test_every_fault_leaves_each_scan_with_one_whole_analysis(site: Site) -> None:
    assert disturb(site, Counter(dict.fromkeys(FAULTS, 1)), seed=7) == []


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A folder on a disk of its own."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here; run as root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=False)


def test_full_disk_is_waited_out(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        site = Site(disk)
        site.start()
        try:
            site.write_scan()
            site.settle()
            site.write_scan()
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(2**16))
            time.sleep(12)
            (disk / "filler").unlink()
            site.write_scan()

            assert site.faults() == []
        finally:
            site.stop()


def test_truncated_frame_file_is_said_and_stops_nothing(site: Site) -> None:
    site.write_scan()
    site.settle()
    site.kill_service()
    uid = site.write_scan()
    newest = max(site.tiled.detector_folder.glob("*_data_*.h5"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    site.begin_service()
    site.write_scan()

    (damaged,) = [one for one in site.settle() if one.raw_uid == uid]

    assert damaged.status == "failed"
    assert newest.name in str(damaged.error)
    assert [one.status for one in site.records() if one.raw_uid != uid] == ["done", "done"]


def test_fifty_clients_are_answered_while_scans_are_analysed(site: Site) -> None:
    site.write_scan()
    first = site.settle()[0].id
    over, waited, wrong = threading.Event(), [], []
    status = f"/analyses/{first}"
    paths = [
        "/analyses",
        status,
        "/runs",
        "/live",
        "/latest",
        f"/analyses/{first}/result",
        "/openapi.json",
    ]

    # Made beforehand: each client reads the certificates of the machine, which takes longer than an answer.
    clients = [httpx.Client(base_url=site.address(), headers={"X-API-Key": KEY}, timeout=60) for _ in range(50)]

    def ask(number: int) -> None:
        with clients[number] as client:
            for turn in itertools.count(number):
                if over.is_set():
                    return
                path = paths[turn % len(paths)]
                began = time.monotonic()
                answer = client.get(path if path == "/openapi.json" else f"/api/v1{path}")
                if path == status:
                    waited.append(time.monotonic() - began)
                if answer.status_code != 200:
                    wrong.append((path, answer.status_code, answer.text))
                time.sleep(0.5)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(len(clients))]
    for one in asking:
        one.start()
    for _ in range(3):
        site.write_scan()
    site.settle()
    over.set()
    for one in asking:
        one.join()

    assert wrong == []
    assert len(waited) > 50
    print(f"{len(waited)} states asked for; waited {statistics.median(waited):.2f} s, at most {max(waited):.2f} s")


def test_service_does_not_grow_with_the_scans_it_analyses(site: Site) -> None:
    def after(scans: int) -> tuple[int, int]:
        for _ in range(scans):
            site.write_scan()
        site.settle()
        return usage(site.service.pid)

    after(2)
    memory, files = after(2)
    memory_later, files_later = after(6)

    print(f"{memory} MiB and {files} open files after four scans, {memory_later} and {files_later} after ten")
    assert files_later <= files + 5
    assert memory_later <= memory + 60
