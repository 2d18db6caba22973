"""Everything that speaks Tiled: runs and frames in, state and results of analyses out.

===========  ==========================================================================================
package      purpose
===========  ==========================================================================================
`server`     the Tiled server: connecting to it, starting an embedded one, access tags, creating nodes
`runs`       raw runs: finding them, what they say about themselves, their frames, watching for new ones
`results`    analyses: their state and claims, publishing, reading, what a live scan shows
===========  ==========================================================================================

`tiled_adapters` stays here because Tiled servers name it in their configuration.
"""

import os

# Tiled's client reads these once, when it is first imported, and every module of this package imports this one first.
# Its defaults (10 attempts, 45 s) also repeat requests that can only fail: a deterministic 500 costs 25 s. The service
# retries where that helps, and reports meanwhile what it waits for.
os.environ.setdefault("TILED_RETRY_ATTEMPTS", "3")
os.environ.setdefault("TILED_RETRY_TIMEOUT", "10")
