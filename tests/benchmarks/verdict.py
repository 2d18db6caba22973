"""How often a verdict finds each kind of scan, and how often it speaks of what is not there.

    python tests/benchmarks/verdict.py [SCANS]

Each kind is simulated with other random numbers, analysed, and judged. Prints, for each kind, the share of scans with
each statement. Not a test: it takes minutes.
"""

import sys
from collections import Counter

from rich.console import Console
from rich.table import Table
from tests.memory import BEAMS, KINDS, analysed, scan

from cnn_ed import Ensemble
from twotime.verdict import Evidence, verdict


def said(kind: str, seeds: range, ensemble: Ensemble) -> Counter[str]:
    """How many scans have each statement."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        found = verdict(Evidence.of(analysed(scan(kind, seed), ensemble)))
        counts.update({one.code for one in found.statements})
        if seed == seeds[0]:
            print(f"{kind}: {found.text}", flush=True)
    return counts


def main() -> None:
    """Print one row per kind."""
    scans = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ensemble = Ensemble.load()
    table = Table("kind", "statements, share of the scans")
    for kind in (*KINDS, *BEAMS):
        number = 4 * scans if kind == "diffusive" else scans
        found = said(kind, range(1000, 1000 + number), ensemble)
        table.add_row(kind, ", ".join(f"{code} {count / number:.2f}" for code, count in found.most_common()))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
