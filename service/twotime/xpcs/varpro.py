"""Compiled least squares for the decay, many curves at once.

Given rate and exponent, contrast and baseline follow from linear least squares, so that only two parameters are
searched for (variable projection: Golub & Pereyra 1973, with the approximate Jacobian of Kaufman 1975).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts

Values = NDArray[np.float64]
STARTS = 3
MOST_STEPS = 200
NEAR = 0.03
"""Distance in log rate and in the exponent within which two searches end at the same place."""
GRID_LAGS = 120
"""Lags at most, evenly spread in their logarithm, at which the places of the grid are compared."""
SHARED_OUT = 16
"""Curves from which on threads share them out."""
SMALLEST_GAIN = 1e-10
"""The search ends where a step would lower χ² by less than this share."""


def fit_curves(
    log_lag: NDArray[np.float64],
    g2: NDArray[np.float64],
    weights: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    log_rates: NDArray[np.float64],
    alphas: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Least squares of each curve, from the best places of a grid over rate and exponent.

    Parameters
    ----------
    log_lag : (L,) logarithm of the lags
    g2, weights : (M, L); weight 0 where a point is left out, and a finite g2 everywhere
    low, high : (4,) bounds of log rate, beta, baseline and alpha; a fixed parameter has both alike
    log_rates, alphas : (R,), (A,) the grid

    Returns
    -------
    tuple
        (M, 4) parameters, (M,) weighted sums of squares, (M,) whether the search came to rest.
    """
    places = np.arange(len(log_lag))
    if len(places) > GRID_LAGS:
        places = np.unique(np.rint(np.geomspace(1, len(log_lag), GRID_LAGS)).astype(np.intp) - 1)
    power = np.exp(alphas[None, :, None] * (log_rates[:, None, None] + log_lag[places]))
    parameters = np.full((len(g2), 4), np.nan)
    cost = np.empty(len(g2))
    converged = np.zeros(len(g2), np.bool_)
    work = partial(
        _fit_curves,
        (log_lag, np.ascontiguousarray(g2), np.ascontiguousarray(weights)),
        (low, high),
        (log_rates, alphas),
        (places, np.exp(-2 * power)),
        (parameters, cost, converged),
    )
    _shared_out(len(g2), work)
    return parameters, cost, converged


def normal_matrices(
    log_lag: NDArray[np.float64],
    parameters: NDArray[np.float64],
    weights: NDArray[np.float64],
    inner: NDArray[np.bool_],
    jacobian: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """J'W²J (M, 4, 4) of log rate, beta, baseline and alpha.

    Parameters
    ----------
    log_lag : (L,) logarithm of the lags
    parameters : (M, 4); rows that are not finite yield zeros
    weights : (M, L)
    inner : (M, 4) False for parameters whose rows and columns are zero
    jacobian : (M, L, 4) where the derivatives J are wanted as well: they are filled in
    """
    normal = np.zeros((len(parameters), 4, 4))
    # The kernel cannot tell: where sums may be taken in any order, x - x is 0 for any x.
    known = np.logical_and.reduce(np.isfinite(parameters), axis=1)
    kept = np.empty((0, len(log_lag), 4)) if jacobian is None else jacobian
    _shared_out(len(parameters), partial(_normal_matrices, log_lag, parameters, known, weights, inner, kept, normal))
    return normal


def _shared_out(number: int, work: Callable[[int, int], Any]) -> None:
    """Do `work` on curves, in threads where these are enough to be worth it."""
    if number < SHARED_OUT:
        work(0, number)
    else:
        in_parts(number, work)


def carried_over(
    spread: NDArray[np.float64], lever: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Covariance (M, 4, 4) of parameters from that of the points: lever' spread lever.

    Parameters
    ----------
    spread : (M, L, L) covariance of the points
    lever : (M, L, 4) how each point moves each parameter
    used : (M, L) False where a point is left out; what `spread` holds there does not count
    """
    covariance = np.zeros((len(spread), 4, 4))
    _carry_over(spread, lever, used, covariance)
    return covariance


def _carry_over(spread: Values, lever: Values, used: NDArray[np.bool_], covariance: Values) -> None:
    n = spread.shape[1]
    row = np.empty(4)
    for m in range(len(spread)):
        for k in range(n):
            if not used[m, k]:
                continue
            row[:] = 0.0
            for j in range(n):
                if used[m, j]:
                    for b in range(4):
                        row[b] += spread[m, k, j] * lever[m, j, b]
            for a in range(4):
                for b in range(4):
                    covariance[m, a, b] += lever[m, k, a] * row[b]


def _solve_linear(shape: Values, y: Values, w2: Values, low: Values, high: Values) -> tuple[float, float, bool, bool]:
    """Best (beta, baseline) within their bounds, and which of them are inside."""
    total = mean_shape = mean_y = 0.0
    for k in range(len(y)):
        total += w2[k]
        mean_shape += w2[k] * shape[k]
        mean_y += w2[k] * y[k]
    mean_shape /= total
    mean_y /= total
    variance = together = 0.0
    for k in range(len(y)):
        centred = shape[k] - mean_shape
        variance += w2[k] * centred * centred
        together += w2[k] * centred * (y[k] - mean_y)
    beta, baseline, beta_free, baseline_free, _ = _within(total, mean_shape, mean_y, variance, together, low, high)
    return beta, baseline, beta_free, baseline_free


def _within(
    total: float, mean_shape: float, mean_y: float, variance: float, together: float, low: Values, high: Values
) -> tuple[float, float, bool, bool, float]:
    """Best (beta, baseline) within their bounds, which of them are inside, and the gain in the sum of squares.

    The gain is against a constant at the mean; it is negative where the bounds keep even that away.
    """
    beta = together / variance if variance > 0 else 0.0
    baseline = mean_y - beta * mean_shape
    if low[1] < beta < high[1] and low[2] < baseline < high[2]:
        return beta, baseline, True, True, beta * together
    best = -np.inf
    found = (low[1], low[2], False, False)
    square = variance + total * mean_shape * mean_shape
    cross = together + total * mean_shape * mean_y
    for edge in range(4):
        if edge < 2:
            b = low[1] if edge == 0 else high[1]
            free = mean_y - b * mean_shape
            c = min(max(free, low[2]), high[2])
            inside = (False, low[2] < c < high[2])
        else:
            c = low[2] if edge == 2 else high[2]
            free = (cross - c * total * mean_shape) / square if square > 0 else 0.0
            b = min(max(free, low[1]), high[1])
            inside = (low[1] < b < high[1], False)
        offset = mean_y - b * mean_shape - c
        gain = 2 * b * together - b * b * variance - total * offset * offset
        if gain > best:
            best = gain
            found = (b, c, inside[0], inside[1])
    return found[0], found[1], found[2], found[3], best


def _exponentials(x: Values, bits: NDArray[np.int64], scale: Values) -> None:
    """Replace x by exp(x), eight or so numbers at a time, to a few units in the last place.

    exp(x) = 2^n exp(r) with |r| <= ln 2 / 2 and a polynomial for exp(r); `bits` and `scale` are the same memory, in
    which 2^n is put together.
    """
    for k in range(len(x)):
        value = min(max(x[k], -700.0), 700.0)
        n = math.floor(value * 1.4426950408889634 + 0.5)
        r = (value - n * 0.6931471803691238) - n * 1.9082149292705877e-10
        p = 1.0 / 479001600
        p = p * r + 1.0 / 39916800
        p = p * r + 1.0 / 3628800
        p = p * r + 1.0 / 362880
        p = p * r + 1.0 / 40320
        p = p * r + 1.0 / 5040
        p = p * r + 1.0 / 720
        p = p * r + 1.0 / 120
        p = p * r + 1.0 / 24
        p = p * r + 1.0 / 6
        p = p * r + 0.5
        p = p * r + 1.0
        x[k] = p * r + 1.0
        bits[k] = (np.int64(n) + 1023) << 52
    for k in range(len(x)):
        x[k] *= scale[k]


def _evaluate(
    u: float,
    alpha: float,
    log_lag: Values,
    y: Values,
    w2: Values,
    low: Values,
    high: Values,
    power: Values,
    shape: Values,
    bits: NDArray[np.int64],
    scale: Values,
) -> tuple[float, float, bool, bool, float]:
    """Fill power and shape for (log rate, alpha); the best linear parameters and the sum of squares."""
    for k in range(len(y)):
        power[k] = alpha * (u + log_lag[k])
    _exponentials(power, bits, scale)
    for k in range(len(y)):
        shape[k] = -2 * power[k]
    _exponentials(shape, bits, scale)
    beta, baseline, beta_free, baseline_free = _solve_linear(shape, y, w2, low, high)
    cost = 0.0
    for k in range(len(y)):
        off = baseline + beta * shape[k] - y[k]
        cost += w2[k] * off * off
    return beta, baseline, beta_free, baseline_free, cost


def _normal_equations(
    u: float,
    beta: float,
    baseline: float,
    beta_free: bool,
    baseline_free: bool,
    alpha: float,
    log_lag: Values,
    y: Values,
    w2: Values,
    power: Values,
    shape: Values,
    own: Values,
) -> tuple[float, float, float, float, float]:
    """Gradient and 2 x 2 matrix of the projected problem in (log rate, alpha); `own` is room for (2, L)."""
    n = len(y)
    total = mean = 0.0
    for k in range(n):
        slope = -2.0 * beta * shape[k] * power[k]
        own[0, k] = slope * alpha
        own[1, k] = slope * (u + log_lag[k])
        total += w2[k]
        mean += w2[k] * shape[k]
    mean = mean / total if baseline_free else 0.0
    square = 0.0
    for k in range(n):
        square += w2[k] * (shape[k] - mean) ** 2
    for row in range(2):
        centre = along = 0.0
        if baseline_free:
            for k in range(n):
                centre += w2[k] * own[row, k]
            centre /= total
        if beta_free and square > 0:
            for k in range(n):
                along += w2[k] * (shape[k] - mean) * (own[row, k] - centre)
            along /= square
        for k in range(n):
            own[row, k] -= centre + along * (shape[k] - mean)
    g0 = g1 = a00 = a01 = a11 = 0.0
    for k in range(n):
        off = w2[k] * (baseline + beta * shape[k] - y[k])
        g0 += off * own[0, k]
        g1 += off * own[1, k]
        a00 += w2[k] * own[0, k] * own[0, k]
        a01 += w2[k] * own[0, k] * own[1, k]
        a11 += w2[k] * own[1, k] * own[1, k]
    return g0, g1, a00, a01, a11


def _search(
    u: float,
    alpha: float,
    log_lag: Values,
    y: Values,
    w2: Values,
    low: Values,
    high: Values,
    power: Values,
    shape: Values,
    own: Values,
    bits: NDArray[np.int64],
    scale: Values,
    known_u: float,
    known_alpha: float,
) -> tuple[float, float, float, float, float, bool]:
    """Levenberg-Marquardt in (log rate, alpha) from one start, within bounds; given up where it nears a known end."""
    damping = 1e-3
    beta, baseline, beta_free, baseline_free, cost = _evaluate(
        u, alpha, log_lag, y, w2, low, high, power, shape, bits, scale
    )
    steps = 0
    while steps < MOST_STEPS:
        g0, g1, a00, a01, a11 = _normal_equations(
            u, beta, baseline, beta_free, baseline_free, alpha, log_lag, y, w2, power, shape, own
        )
        move_u = a00 > 0 and low[0] < high[0] and not (u <= low[0] and g0 > 0) and not (u >= high[0] and g0 < 0)
        move_alpha = a11 > 0 and low[3] < high[3]
        move_alpha = move_alpha and not (alpha <= low[3] and g1 > 0) and not (alpha >= high[3] and g1 < 0)
        while steps < MOST_STEPS:
            d00, d11 = a00 * (1 + damping), a11 * (1 + damping)
            du = dalpha = 0.0
            if move_u and move_alpha:
                det = d00 * d11 - a01 * a01
                du, dalpha = -(d11 * g0 - a01 * g1) / det, -(d00 * g1 - a01 * g0) / det
            elif move_u:
                du = -g0 / d00
            elif move_alpha:
                dalpha = -g1 / d11
            if -(g0 * du + g1 * dalpha) <= SMALLEST_GAIN * cost:
                return u, alpha, beta, baseline, cost, True
            steps += 1
            new_u = min(max(u + min(max(du, -2.0), 2.0), low[0]), high[0])
            new_alpha = min(max(alpha + min(max(dalpha, -0.5), 0.5), low[3]), high[3])
            found = _evaluate(new_u, new_alpha, log_lag, y, w2, low, high, power, shape, bits, scale)
            if found[4] < cost:
                break
            damping = max(damping * 5, 1e-3)
        else:
            return u, alpha, beta, baseline, cost, False
        # Where the data scatter widely the matrix is far from the curvature: a gain below the promise damps more.
        promised = -2 * (g0 * du + g1 * dalpha) - (a00 * du * du + 2 * a01 * du * dalpha + a11 * dalpha * dalpha)
        share = (cost - found[4]) / promised if promised > 0 else 0.0
        damping = max(damping, 1e-6) * max(0.1, 1 - (2 * share - 1) ** 3)
        u, alpha = new_u, new_alpha
        beta, baseline, beta_free, baseline_free, cost = found
        if abs(u - known_u) < NEAR and abs(alpha - known_alpha) < NEAR:
            return u, alpha, beta, baseline, np.inf, True
    return u, alpha, beta, baseline, cost, False


def _normal_matrices(
    log_lag: Values,
    parameters: Values,
    known: NDArray[np.bool_],
    weights: Values,
    inner: NDArray[np.bool_],
    jacobian: Values,
    normal: Values,
    first: int,
    end: int,
) -> None:
    n = len(log_lag)
    power, shape, bits = np.empty(n), np.empty(n), np.empty(n, np.int64)
    scale = bits.view(np.float64)
    own = np.zeros((4, n))
    for m in range(first, end):
        u, beta, alpha = parameters[m, 0], parameters[m, 1], parameters[m, 3]
        if known[m]:
            for k in range(n):
                power[k] = alpha * (u + log_lag[k])
            _exponentials(power, bits, scale)
            for k in range(n):
                shape[k] = -2 * power[k]
            _exponentials(shape, bits, scale)
            for k in range(n):
                slope = -2 * beta * shape[k] * power[k]
                own[0, k], own[1, k], own[2, k], own[3, k] = slope * alpha, shape[k], 1.0, slope * (u + log_lag[k])
        else:
            own[:] = 0.0
        for a in range(4):
            if not inner[m, a]:
                own[a] = 0.0
        for k in range(n):
            shape[k] = weights[m, k] * weights[m, k]
        for a in range(4):
            for b in range(a + 1):
                together = 0.0
                for k in range(n):
                    together += own[a, k] * shape[k] * own[b, k]
                normal[m, a, b] = normal[m, b, a] = together
        if len(jacobian):
            for k in range(n):
                for a in range(4):
                    jacobian[m, k, a] = own[a, k]


def _fit_curves(
    curves: tuple[Values, Values, Values],
    bounds: tuple[Values, Values],
    grid: tuple[Values, Values],
    coarse_shapes: tuple[NDArray[np.intp], Values],
    results: tuple[Values, Values, NDArray[np.bool_]],
    first_curve: int,
    end: int,
) -> None:
    """Fit curves `first_curve` to `end`; arrays as in `fit_curves`, and the decays of the grid at some places."""
    log_lag, g2, weights = curves
    low, high = bounds
    log_rates, alphas = grid
    places, shapes = coarse_shapes
    parameters, cost, converged = results
    n = len(log_lag)
    lags, y, w2 = np.empty(n), np.empty(n), np.empty(n)
    few_lags, few_y, few_w2 = np.empty(len(places)), np.empty(len(places)), np.empty(len(places))
    centred = np.empty(len(places))
    power, shape, own = np.empty(n), np.empty(n), np.empty((2, n))
    bits = np.empty(n, np.int64)
    scale = bits.view(np.float64)
    gains = np.empty((len(log_rates), len(alphas)))
    found = np.empty((STARTS, 3))  # log rate, exponent and sum of squares
    for m in range(first_curve, end):
        # Points that are left out take no time.
        count = 0
        for k in range(n):
            if weights[m, k] > 0:
                lags[count], y[count], w2[count] = log_lag[k], g2[m, k], weights[m, k] * weights[m, k]
                count += 1
        few, total, mean_y = 0, 0.0, 0.0
        for p in range(len(places)):
            k = places[p]
            few_lags[p], few_y[p], few_w2[p] = log_lag[k], g2[m, k], weights[m, k] * weights[m, k]
            few += few_w2[p] > 0
            total += few_w2[p]
            mean_y += few_w2[p] * few_y[p]
        if total == 0:  # These few lags say nothing of the curve: all nodes of the grid are alike.
            total = 1.0
        mean_y /= total
        for p in range(len(places)):
            centred[p] = few_w2[p] * (few_y[p] - mean_y)
        for i in range(len(log_rates)):
            for j in range(len(alphas)):
                node = shapes[i, j]
                first = second = together = 0.0
                for p in range(len(node)):
                    weighted = few_w2[p] * node[p]
                    first += weighted
                    second += weighted * node[p]
                    together += centred[p] * node[p]
                mean_shape = first / total
                variance = max(second - first * mean_shape, 0.0)
                gains[i, j] = _within(total, mean_shape, mean_y, variance, together, low, high)[4]
        # Where the few lags are far fewer than all, starts are tried on them, and the best two brought to rest on all.
        coarse = few >= 30 and count > 2 * len(places)
        x, z, w = (few_lags, few_y, few_w2) if coarse else (lags[:count], y[:count], w2[:count])
        starts = 0
        cost[m] = lowest = known_u = known_alpha = np.inf
        while starts < STARTS:
            place = int(np.argmax(gains))
            i, j = place // len(alphas), place % len(alphas)
            if not gains[i, j] > -np.inf:
                break
            # Neighbours lead to the same place: the next start comes from elsewhere.
            gains[max(i - 2, 0) : i + 3, max(j - 1, 0) : j + 2] = -np.inf
            room = len(x)
            u, alpha, beta, baseline, own_cost, rest = _search(
                log_rates[i],
                alphas[j],
                x,
                z,
                w,
                low,
                high,
                power[:room],
                shape[:room],
                own[:, :room],
                bits[:room],
                scale[:room],
                known_u,
                known_alpha,
            )
            found[starts, 0], found[starts, 1], found[starts, 2] = u, alpha, own_cost
            starts += 1
            if own_cost < lowest:
                lowest, known_u, known_alpha = own_cost, u, alpha
            if not coarse and own_cost < cost[m]:
                cost[m], converged[m] = own_cost, rest
                parameters[m, 0], parameters[m, 1], parameters[m, 2], parameters[m, 3] = u, beta, baseline, alpha
        for _ in range(2 if coarse else 0):
            best = int(np.argmin(found[:starts, 2]))
            if not found[best, 2] < np.inf:
                break
            u, alpha, beta, baseline, own_cost, rest = _search(
                found[best, 0],
                found[best, 1],
                lags[:count],
                y[:count],
                w2[:count],
                low,
                high,
                power[:count],
                shape[:count],
                own[:, :count],
                bits[:count],
                scale[:count],
                np.inf,
                np.inf,
            )
            for k in range(starts):  # Those that came to the same place need not be tried again.
                if abs(found[k, 0] - found[best, 0]) < 1e-2 and abs(found[k, 1] - found[best, 1]) < 1e-2:
                    found[k, 2] = np.inf
            if own_cost < cost[m]:
                cost[m], converged[m] = own_cost, rest
                parameters[m, 0], parameters[m, 1], parameters[m, 2], parameters[m, 3] = u, beta, baseline, alpha


# Sums may be taken in any order, so that the compiler adds several terms at once. What others call becomes part of it:
# else the process that compiles would call its code, and those that find the machine code of the callers a copy in it,
# which adds in another order and rounds otherwise.
_ANY_ORDER = {"reassoc", "contract", "nsz"}
_carry_over = compiled(_carry_over, fastmath=_ANY_ORDER)
_within = compiled(_within, fastmath=_ANY_ORDER, forceinline=True)
_exponentials = compiled(_exponentials, fastmath={"contract", "nsz"}, forceinline=True)
_solve_linear = compiled(_solve_linear, fastmath=_ANY_ORDER, forceinline=True)
_evaluate = compiled(_evaluate, fastmath=_ANY_ORDER, forceinline=True)
_normal_equations = compiled(_normal_equations, fastmath=_ANY_ORDER, forceinline=True)
_search = compiled(_search, fastmath=_ANY_ORDER, forceinline=True)
_fit_curves = compiled(_fit_curves, fastmath=_ANY_ORDER)
_normal_matrices = compiled(_normal_matrices, fastmath=_ANY_ORDER)
