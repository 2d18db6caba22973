"""Everything that speaks Tiled: runs and frames in, state and results of analyses out."""

import os

# Tiled's client reads these once, when it is first imported. By default it repeats what fails for 45 s, a request that
# fails for good as well as one that a restart of the server will mend; we wait for Tiled ourselves and say so.
os.environ.setdefault("TILED_RETRY_ATTEMPTS", "3")
os.environ.setdefault("TILED_RETRY_TIMEOUT", "10")
