"""Jobs: which runs are analysed, in which order, by which process, and what happens when a process dies.

`Service` is the entry point for the layers above. `Callers` and `CallerService` serve callers who authenticate with a
Tiled key of their own.

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
from twotime.jobs.caller_service import CallerService
from twotime.jobs.service import Service

__all__ = ["CallerService", "Callers", "Service"]
