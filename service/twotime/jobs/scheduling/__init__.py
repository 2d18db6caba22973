"""The queue, the workers, and the claims that survive a crash.

State of an analysis, as its metadata in Tiled say::

                       claim attempt n+1                publish, status last
    (request) --> queued ---------------> running ------------------------> done
                    ^  |                   | |  |
                    |  | cancel            | |  +-- error the run explains --> failed
                    |  v                   | |
                    |  cancelled <---------+ |     (cancel node seen at the next block)
                    |                        |
                    +--- service stops ------+     (attempt + 1, not counted as a death)

    running, worker dead or lease expired --> claimed again as attempt n+1; failed after 3 deaths

A claim is a node ``attempts/<n>`` below the analysis: Tiled creates a key only once, so exactly one process gets it.
The holder of the newest claim is the only writer of the metadata and renews its lease by writing progress. A process
that does not renew it for `leases.LEASE_S` counts as dead; on the same machine its pid is looked up, which is faster.

Every service that shares a catalog queues everything that waits there and claims in its own order (`job_queue`): what
somebody waits for before what can wait, then the share that has used least (`fair_shares`), then first come, first
served. `Scheduler.recover` learns what other services have queued, claimed or finished.
"""
