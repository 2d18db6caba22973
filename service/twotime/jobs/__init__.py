"""Jobs: which runs are analysed, in which order, by which process, and what happens when a process dies.

`Service` is the entry point for the layers above. `Service.unrestricted` and `Service.restricted_to(viewer)` are the
service within one scope, a `ScopedService`; `Callers` keeps the viewers of callers who show a Tiled key.

=============  ========================================================================================
package        purpose
=============  ========================================================================================
`requests`     turns requests, finished runs and documents into queued analyses
`scheduling`   the queue, the workers, claims and their leases
`executors`    computes one claimed attempt: in a local process or on a Dask cluster
`access`       Tiled as the service reaches it, and as a caller with a Tiled key reaches it
=============  ========================================================================================
"""

from twotime.jobs.access.callers import Callers
from twotime.jobs.scoped_service import ScopedService
from twotime.jobs.service import Service
from twotime.processes import PROCESSES

# Worker, export and live processes are forked from one that has imported these.
PROCESSES.set_forkserver_preload(["twotime.jobs.executors.attempt", "twotime.jobs.exporter", "twotime.live.session"])

__all__ = ["Callers", "ScopedService", "Service"]
