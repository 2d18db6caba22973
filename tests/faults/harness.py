"""Everything that a beamline does to a service, many times over: ``make faults``.

Each fault comes at a random moment, seeded, while scans arrive. In the end every finished run must have one analysis,
done, whole, and equal in every number to one that nothing disturbed. Prints the counts; exits 1 if anything was lost or
doubled.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.load import busy
from tests.faults.site import Site, dice, usage
from tests.waiting import until

STATUSES = (401, 403, 429, 500, 503)
Fault = Callable[[Site, Random], None]


def kill_service(site: Site, chance: Random) -> None:
    """Kill the service, early or late in its life, and start it again."""
    time.sleep(chance.choice((chance.uniform(0, 4), chance.uniform(6, 20))))
    site.kill_service()
    site.begin_service()


def kill_tiled(site: Site, chance: Random) -> None:
    """Kill Tiled; it is started again."""
    time.sleep(chance.uniform(0, 8))
    before = site.tiled.pid
    if before is not None:
        os.kill(before, signal.SIGKILL)
    until(lambda: site.tiled.pid not in (None, before))


def cut(site: Site, chance: Random) -> None:
    """Take the network away for a while."""
    time.sleep(chance.uniform(0, 6))
    site.proxy.cut()
    time.sleep(chance.uniform(0.2, 5))
    site.proxy.heal()


def slow(site: Site, chance: Random) -> None:
    """Make the network slow for a while."""
    site.proxy.slow(chance.uniform(0.02, 0.3))
    time.sleep(chance.uniform(2, 8))
    site.proxy.heal()


def refuse(site: Site, chance: Random) -> None:
    """Let Tiled answer with an error for a while."""
    time.sleep(chance.uniform(0, 6))
    site.proxy.answer(chance.choice(STATUSES))
    time.sleep(chance.uniform(0.2, 5))
    site.proxy.heal()


def stand_still(site: Site, chance: Random) -> None:
    """Stop the service and its workers, longer than others wait for a sign of life, and let it go on."""
    time.sleep(chance.uniform(0, 4))
    os.killpg(site.service.pid, signal.SIGSTOP)
    time.sleep(chance.choice((1.0, 10.0, 40.0)))
    os.killpg(site.service.pid, signal.SIGCONT)


def twin(site: Site, chance: Random) -> None:
    """Start a second service on the same catalog by mistake; after a while one of the two is killed."""
    site.begin_service()
    site.write_scan()
    time.sleep(chance.uniform(5, 20))
    if chance.random() < 0.5:
        site._services.reverse()
    site.kill_service()


def nothing(site: Site, chance: Random) -> None:
    """Scan after scan, as on a good day."""


FAULTS: dict[str, Fault] = {
    "nothing": nothing,
    "service killed": kill_service,
    "Tiled killed": kill_tiled,
    "network cut": cut,
    "network slow": slow,
    "Tiled answers an error": refuse,
    "service stands still": stand_still,
    "two services at once": twin,
}


def disturb(site: Site, plan: Counter[str], seed: int, *, settle_every: int = 20) -> list[str]:
    """Let so many faults of each kind happen in random order, a scan before each; returns what is wrong afterwards."""
    chance = dice(seed)
    order = [name for name, number in plan.items() for _ in range(number)]
    chance.shuffle(order)
    site.write_scan()
    site.settle()
    wrong: list[str] = []
    for number, name in enumerate(order, start=1):
        site.write_scan()
        print(f"{number:4d} {name}", flush=True)
        FAULTS[name](site, chance)
        if number % settle_every == 0:
            wrong = site.faults(again=False)
            memory, files = usage(site.service.pid)
            print(
                f"{number:4d} faults, {len(site.uids)} scans, {memory} MiB, {files} files, wrong: {wrong}", flush=True
            )
            if wrong:
                return wrong
    return site.faults()


def main() -> int:
    """Run the harness from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--service-kills", type=int, default=200)
    parser.add_argument("--tiled-kills", type=int, default=50)
    parser.add_argument("--others", type=int, default=20, help="faults of each other kind")
    parser.add_argument("--undisturbed", type=int, default=0, help="scans that nothing happens to")
    parser.add_argument("--load", type=int, default=0, help="other processes that keep the machine busy meanwhile")
    given = parser.parse_args()
    plan = Counter(dict.fromkeys(FAULTS, given.others))
    plan["service killed"], plan["Tiled killed"] = given.service_kills, given.tiled_kills
    plan["nothing"] = given.undisturbed
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="twotime-faults-"))
    print(f"logs are in {folder}", flush=True)
    site = Site(folder)
    site.start()
    try:
        with busy(given.load):
            wrong = disturb(site, plan, given.seed)
        records = site.records()
    finally:
        site.stop()
    for name, number in plan.items():
        print(f"{name:24s} {number:4d}")
    attempts = Counter(record.attempt for record in records)
    print(f"scans {len(site.uids)}, analyses {len(records)}, attempts of each {dict(sorted(attempts.items()))}")
    print(f"wrong {len(wrong)}: {wrong}; {time.monotonic() - began:.0f} s, seed {given.seed}")
    if wrong:
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
