"""Arrays in, arrays out: the numerical core of the analysis.

No module here reads files, clocks, the environment or the network.
"""
