"""A Dask scheduler for twotime, and workers as jobs of SLURM: ``python deploy/dask/slurm.py 20``, with dask-jobqueue.

Run it where the service and the nodes reach it, and start the service with TWOTIME_DASK_SCHEDULER as printed and as
many TWOTIME_WORKERS. A job that ends at its walltime is replaced. Change queue, account, memory and paths to those of
your site.
"""

import argparse
import sys
import threading
from typing import Any

THREADS = 2
OPTIONS: dict[str, Any] = {
    "queue": "xpcs",
    "account": "beamline",
    "walltime": "24:00:00",
    "job_name": "twotime-worker",
    "cores": 1,  # One analysis at a time; its own threads are OMP_NUM_THREADS.
    "job_cpu": THREADS,
    "processes": 1,
    "memory": "24 GiB",  # As `twotime plan-capacity` says, and room beside it.
    "worker_extra_args": ["--memory-limit", "0", "--no-dashboard"],  # The plan of an analysis bounds memory.
    "job_script_prologue": [f"export OMP_NUM_THREADS={THREADS}"],
    "local_directory": "$TMPDIR",
    "python": sys.executable,  # The same environment on all nodes: twotime[dask] in the version of the service.
    "log_directory": "twotime-workers",
    "scheduler_options": {"port": 8786, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
}


def main() -> None:
    """Start the scheduler and keep so many workers, until interrupted."""
    from dask_jobqueue import SLURMCluster

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workers", type=int, help="how many")
    given = parser.parse_args()
    with SLURMCluster(**OPTIONS) as cluster:
        # The service gives a scheduler no more tasks than it has workers, so the number cannot follow the tasks.
        cluster.adapt(minimum=given.workers, maximum=given.workers)
        print(f"TWOTIME_DASK_SCHEDULER={cluster.scheduler_address} TWOTIME_WORKERS={given.workers}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
