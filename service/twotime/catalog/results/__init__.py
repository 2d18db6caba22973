"""Analyses in Tiled.

::

    AnalysisStore   request -> claim -> progress ... -> done | failed | cancelled   (state and claims)
    TiledSink       clear -> arrays and tables -> headline run -> status: done      (`publish`)
    StoredForm      rounding within errors, upper triangles                         (`stored_form`)
    read            arrays and tables of an analysis that is done
    LiveSink        small arrays of a scan that still runs                          (`live_scans`)
    retention       which analyses are deleted, and deleting them
"""
