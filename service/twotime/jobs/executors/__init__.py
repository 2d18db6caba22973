"""Computing one claimed attempt.

::

    WorkerPool --> Executor.compute(record, on_progress)
                     |-- WorkerProcess   child process, pipe, killed with its service
                     |-- DaskWorker      one task on a Dask cluster (`dask_cluster`, `dask_task`)
                             both run AttemptRunner.run(record), with a Heartbeat beside it

    AttemptRunner.run: done | failed | cancelled | lost

"lost" writes nothing: another process holds the claim, or Tiled stayed away longer than `attempt.PATIENCE_S`.
"""
