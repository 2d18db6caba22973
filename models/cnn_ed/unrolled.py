"""Compiled kernels of the network, with the small loops over channels and latent numbers written out.

Written out, all of a pixel's channels stay in registers, and the compiler works on many windows at once; as loops over
small arrays the same arithmetic takes about five times as long (tests/benchmarks/denoise.py has the comparison with the
plain network). The text is made for the sizes at hand and compiled by numba once per machine: it is kept in numba's
cache, as if it stood in this file.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from twotime.xpcs.compiled import compiled


@cache
def kernels(channels: int, latent: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Encoder and decoder for these sizes.

    Returns
    -------
    tuple of functions
        ``encode(x, w1, b1, w2, b2, to_latent, z)`` adds to z (latent, B) what the pixels x (U, B) contribute;
        w1, b1, b2 are (C,), w2 (C, C), to_latent (U, C, latent).
        ``decode(z, from_latent, bias, w4, b4, out)`` writes the pixels out (D, B); from_latent is (D, C, latent), bias
        (D, C), w4 (C,), b4 a number.
    """
    # Under the name of this file numba finds a place for its cache, and renews it whenever this file changes.
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(_encode(channels, latent) + _decode(channels, latent), __file__, "exec"), names)
    return compiled(names["encode"], fastmath=True), compiled(names["decode"], fastmath=True)


def _encode(channels: int, latent: int) -> str:
    own, numbers = range(channels), range(latent)
    lines = ["def encode(x, w1, b1, w2, b2, to_latent, z):"]
    lines += [f"    w1_{c}, b1_{c}, b2_{c} = w1[{c}], b1[{c}], b2[{c}]" for c in own]
    lines += [f"    w2_{d}_{c} = w2[{d}, {c}]" for d in own for c in own]
    lines += ["    zero = x.dtype.type(0)", "    for p in range(x.shape[0]):"]
    lines += [f"        t_{c}_{k} = to_latent[p, {c}, {k}]" for c in own for k in numbers]
    lines += ["        for b in range(x.shape[1]):", "            value = x[p, b]"]
    lines += [f"            first_{c} = max(w1_{c} * value + b1_{c}, zero)" for c in own]
    for d in own:
        total = " + ".join([f"b2_{d}"] + [f"w2_{d}_{c} * first_{c}" for c in own])
        lines.append(f"            second_{d} = max({total}, zero)")
    for k in numbers:
        total = " + ".join(f"t_{c}_{k} * second_{c}" for c in own)
        lines.append(f"            z[{k}, b] += {total}")
    return "\n".join(lines) + "\n"


def _decode(channels: int, latent: int) -> str:
    own, numbers = range(channels), range(latent)
    lines = ["def decode(z, from_latent, bias, w4, b4, out):"]
    lines += [f"    w4_{c} = w4[{c}]" for c in own]
    lines += ["    zero = out.dtype.type(0)", "    for p in range(out.shape[0]):"]
    lines += [f"        bias_{c} = bias[p, {c}]" for c in own]
    lines += [f"        f_{c}_{k} = from_latent[p, {c}, {k}]" for c in own for k in numbers]
    lines += ["        for b in range(out.shape[1]):"]
    lines += [f"            z_{k} = z[{k}, b]" for k in numbers]
    for c in own:
        total = " + ".join([f"bias_{c}"] + [f"f_{c}_{k} * z_{k}" for k in numbers])
        lines.append(f"            part_{c} = w4_{c} * max({total}, zero)")
    lines.append("            out[p, b] = " + " + ".join(["b4"] + [f"part_{c}" for c in own]))
    return "\n".join(lines) + "\n"
