"""The words of a verdict, made in one place: pages, reports, logbooks and control screens show the same sentences."""

import math
from collections.abc import Callable

from twotime.verdict.statements import Quantity, Statement

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TIMES = ((86400.0, "d"), (3600.0, "h"), (120.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_UNITS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}


def sentence(statement: Statement) -> str:
    """The sentence of a statement.

    >>> sentence(Statement("precise", "good", {"number": Quantity(5, 0), "total": Quantity(6, 0)}, (1, 2), "table"))
    'Five of six ROIs are good to 10 %.'
    """
    return SENTENCES[statement.code](statement)


def with_error(value: float, error: float, unit: str = "") -> str:
    """Value ± error to the error's first digit, two where it begins with 1, with a power of ten where that is shorter.

    >>> with_error(2.0134, 0.0831), with_error(2.64e6, 7.1e4, "Å²/s"), with_error(12.0, float("nan"))
    ('2.01 ± 0.08', '(2.64 ± 0.07) × 10⁶ Å²/s', '12')
    """
    unit = f" {unit}" if unit and unit != "1" else ""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}".replace("-", "−") + unit
    power = math.floor(math.log10(max(abs(value), error)))
    if -3 <= power < 5:
        return _digits(value, error) + unit
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"({_digits(value / 10**power, error / 10**power)}) × 10{raised}{unit}"


def percent(quantity: Quantity, *, signed: bool = False) -> str:
    """A share with its error in percent; the sign only where it is asked for.

    >>> percent(Quantity(-0.284, 0.057)), percent(Quantity(-0.284, 0.057), signed=True)
    ('28 ± 6 %', '−28 ± 6 %')
    """
    value = 100 * (quantity.value if signed else abs(quantity.value))
    text = with_error(value, 100 * quantity.error).replace("−0 ±", "0 ±")
    return f"{'+' if signed and not text.startswith(('−', '0 ')) else ''}{text} %"


def duration(seconds: float) -> str:
    """A time in the unit that reads best.

    >>> duration(0.00134), duration(1.3), duration(300.0)
    ('1.34 ms', '1.3 s', '5 min')
    """
    unit = next((name for size, name in _TIMES if seconds >= size * 0.9995), "µs")
    return f"{seconds / _UNITS[unit]:.3g} {unit}"


def _digits(value: float, error: float) -> str:
    place = math.floor(math.log10(error))
    decimals = -place + (1 if error / 10**place < 1.95 else 0)
    if decimals < 0:
        step = 10.0**-decimals
        return f"{round(value / step) * step:.0f} ± {round(error / step) * step:.0f}".replace("-", "−")
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")


def _number(quantity: Quantity) -> str:
    value = int(quantity.value)
    return _NUMBERS[value] if value < len(_NUMBERS) else str(value)


def _rois(statement: Statement) -> str:
    numbers = statement.rois
    if len(numbers) == 1:
        return f"ROI {numbers[0]}"
    runs = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"ROIs {numbers[0]} to {numbers[-1]}" if runs else "ROIs " + ", ".join(map(str, numbers))


def _diffusive(one: Statement) -> str:
    power, diffusion = one.values["exponent"], one.values["diffusion"]
    law = with_error(power.value, power.error)
    return f"Diffusive: Γ ∝ q^({law}), D = {with_error(diffusion.value, diffusion.error, 'Å²/s')}."


def _ballistic(one: Statement) -> str:
    power, velocity = one.values["exponent"], one.values["velocity"]
    law = with_error(power.value, power.error)
    return f"Ballistic: Γ ∝ q^({law}), Γ/q = {with_error(velocity.value, velocity.error, 'Å/s')}."


def _exponent(one: Statement) -> str:
    power = one.values["exponent"]
    return f"Γ ∝ q^({with_error(power.value, power.error)}), neither diffusive (2) nor ballistic (1)."


def _exponent_open(one: Statement) -> str:
    power = one.values["exponent"]
    return f"Γ ∝ q^({with_error(power.value, power.error)}): the exponent is not decided."


def _ages(direction: str) -> Callable[[Statement], str]:
    return lambda one: (
        f"Ages: {direction} by {percent(one.values['change'])} over {duration(one.values['over'].value)}."
    )


def _steady(one: Statement) -> str:
    change = percent(one.values["change"], signed=True)
    return f"Steady: Γ changes by {change} over {duration(one.values['over'].value)}."


def _unsteady(one: Statement) -> str:
    ratio, over = one.values["ratio"], duration(one.values["over"].value)
    return f"Γ goes up and down by a factor of {with_error(ratio.value, ratio.error)} over {over}."


def _precise(one: Statement) -> str:
    number, total = one.values["number"], one.values["total"]
    if int(number.value) == 0:
        return "No ROI is good to 10 %."
    if int(number.value) == int(total.value):
        return f"All {_number(total)} ROIs are good to 10 %."
    verb = "is" if int(number.value) == 1 else "are"
    return f"{_number(number).capitalize()} of {_number(total)} ROIs {verb} good to 10 %."


def _rate(one: Statement) -> str:
    rate = one.values["rate"]
    return f"Γ = {with_error(rate.value, rate.error, '1/s')}."


def _few_photons(one: Statement) -> str:
    contrast, photons = one.values["contrast"], one.values["photons"]
    return (
        f"Too few photons in {_rois(one)}: {with_error(photons.value, photons.error)} per pixel and frame, "
        f"g₂ − 1 = {with_error(contrast.value, contrast.error)} at the first lags."
    )


def _too_fast(one: Statement) -> str:
    return (
        f"Faster than the frames in {_rois(one)}: {percent(one.values['left'])} of the contrast is left after "
        f"{duration(one.values['lag'].value)}."
    )


def _static(one: Statement) -> str:
    fall = percent(one.values["fall"], signed=True).removeprefix("+")
    return f"Static in {_rois(one)}: g₂ − 1 falls by {fall} within {duration(one.values['within'].value)}."


def _oscillating(one: Statement) -> str:
    frequency = one.values["frequency"]
    return (
        f"Oscillating in {_rois(one)}: g₂ at {with_error(frequency.value, frequency.error, 'Hz')}, "
        f"by {percent(one.values['depth'])} of the contrast."
    )


def _unfinished(one: Statement) -> str:
    left, within = percent(one.values["left"]), duration(one.values["within"].value)
    return f"The scan ends before the decay in {_rois(one)}: {left} of the contrast is left after {within}."


def _unlike(one: Statement) -> str:
    misfit = one.values["misfit"]
    return (
        f"Unlike any single decay in {_rois(one)}: g₂ deviates {with_error(misfit.value, misfit.error)} times as much "
        "as simulated decays do."
    )


def _frames_lost(one: Statement) -> str:
    number, total = (int(one.values[name].value) for name in ("number", "total"))
    first, last = (one.values[name].value for name in ("first", "last"))
    when = f"at {duration(first)}" if first == last else f"from {duration(first)} to {duration(last)}"
    return f"Beam unstable: {number} of {total} frames are left out, {when}."


def _beam_unstable(one: Statement) -> str:
    swing, when = one.values["swing"], one.values["when"]
    where = "above" if swing.value > 0 else "below"
    return f"Beam unstable: the intensity lies {percent(swing)} {where} its trend at {duration(when.value)}."


def _beam_flickers(one: Statement) -> str:
    return f"Beam unstable: the intensity scatters by {percent(one.values['scatter'])} from frame to frame."


def _drift(one: Statement) -> str:
    change = one.values["change"]
    return f"The intensity {'rises' if change.value > 0 else 'falls'} by {percent(change)} over the scan."


def _scattering_changes(one: Statement) -> str:
    return (
        f"The scattering changes: the intensity of {_rois(one)} by {percent(one.values['change'], signed=True)}, "
        f"of all by {percent(one.values['common'], signed=True)}."
    )


def _damage(one: Statement) -> str:
    if not one.values:
        return "Likely beam damage: Γ goes up and down with dose."
    names = {"rate": "Γ", "intensity": "the intensity"}
    parts = [f"{names[name]} changes by {percent(value, signed=True)}" for name, value in one.values.items()]
    return f"Likely beam damage: with dose {' and '.join(parts)}."


SENTENCES: dict[str, Callable[[Statement], str]] = {
    "diffusive": _diffusive,
    "ballistic": _ballistic,
    "exponent": _exponent,
    "exponent_open": _exponent_open,
    "slower": _ages("slower"),
    "faster": _ages("faster"),
    "unsteady": _unsteady,
    "steady": _steady,
    "precise": _precise,
    "rate": _rate,
    "few_photons": _few_photons,
    "too_fast": _too_fast,
    "static": _static,
    "oscillating": _oscillating,
    "unfinished": _unfinished,
    "unlike": _unlike,
    "frames_lost": _frames_lost,
    "beam_unstable": _beam_unstable,
    "beam_flickers": _beam_flickers,
    "drift": _drift,
    "scattering_changes": _scattering_changes,
    "damage": _damage,
}
"""What each code says."""
