"""Scans that still run: followed frame by frame, their dynamics shown while they grow.

::

    AutomaticMode.on_run_started --> LiveSupervisor (service)  --pipe-->  live process: one LiveSession per scan

    LiveSession:  waiting --> running --------> ended       frames handed over to the analysis of the finished run
                     |           |
                     +-----------+------------> failed      nothing handed over; the analysis reads the frames itself

    RunTail (new frames) --> GrowingAnalysis (pairs, fits) --> display (small arrays) --> LiveSink (Tiled)

Bluesky documents (`run_documents`, from a RunEngine or from 0MQ through `document_listener`) only say where to look
sooner. Everything that decides about a run is read from Tiled.
"""
