"""Tiled as the service reaches it, and as each caller reaches it.

`TiledConnection` uses the key of the service. `Callers` keeps one connection per caller who shows a Tiled key of their
own; Tiled decides what that key may read.
"""
