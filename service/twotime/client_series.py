"""Many scans in a notebook: tables with units, an xarray dataset, a picture; made by `twotime.client.Client.series`."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

Quantity = Literal["relaxation_rate", "beta", "baseline", "alpha", "diffusion", "exponent", "rate_change"]
SYMBOLS = {
    "relaxation_rate": "Γ",
    "beta": "β",
    "baseline": "C∞",
    "alpha": "α",
    "diffusion": "D",
    "exponent": "p of Γ ∝ q^p",
    "rate_change": "change of Γ over the scan",
}


class SeriesTable:
    """Scans beside each other.

    Parameters
    ----------
    ask : asks the service with further parameters; returns the answer of ``GET /api/v1/series``

    Attributes
    ----------
    rows : one row per scan and ROI, ``attrs["units"]`` has the unit of each column
    scans : one row per scan: D, exponent, change of the rate, likewise
    x : name and unit of what they are drawn against
    fields : what x may be besides scan_id and time
    groups : ROIs of the same q
    """

    def __init__(self, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._ask = ask
        found = ask({})
        self.rows, self.scans = _table(found["rows"]), _table(found["scans"])
        self.x: dict[str, Any] = found["x"]
        self.fields = pd.DataFrame(found["fields"], columns=["name", "unit", "low", "high", "n_scans"])
        self.groups = pd.DataFrame(found["groups"])

    def __repr__(self) -> str:
        return f"<series of {len(self.scans)} scans against {self.x['name']}, {len(self.groups)} q>"

    def fit(self, y: Quantity, law: Literal["linear", "power", "arrhenius"], x_unit: str | None = None) -> pd.DataFrame:
        """A law through y against x.

        Parameters
        ----------
        y : quantity of each ROI or of whole scans
        law : Arrhenius needs a temperature
        x_unit : where the field does not say it, K or °C for Arrhenius

        Returns
        -------
        One row per group of ROIs or, of quantities of whole scans, one: parameters with errors, χ² per degree of
        freedom, number of values, and the reason where there is no fit. ``attrs["units"]`` has the units.
        """
        fits = self._fits(y, law, x_unit)
        rows: list[dict[str, Any]] = []
        units: dict[str, str] = {}
        for one in fits:
            row: dict[str, Any] = {"group": one["group"]}
            for name, quantity in one["parameters"].items():
                row |= {name: quantity["value"], f"{name}_error": quantity["error"]}
                units |= {name: quantity["unit"], f"{name}_error": quantity["unit"]}
            rows.append(row | {name: one[name] for name in ("reference", "chi2", "n", "reason")})
        table = pd.DataFrame(rows)
        table.attrs = {"units": {**units, "reference": self.x["unit"]}, "law": law, "y": y}
        return table

    def to_xarray(self) -> xr.Dataset:
        """Quantities of each ROI with errors, dimensions scan and group; NaN where a scan has no ROI of a group."""
        number = {one: place for place, one in enumerate(self.scans["analysis_id"])}
        shape = len(self.scans), len(self.groups)
        places = self.rows["analysis_id"].map(number).to_numpy(), self.rows["group"].to_numpy(int) - 1
        found = xr.Dataset(
            coords={
                "scan": ("scan", self.scans["analysis_id"]),
                "x": ("scan", self.scans["x"].to_numpy(float), {"field": self.x["name"], "units": self.x["unit"]}),
                "q": ("group", self.groups["q"].to_numpy(float), {"units": "1/Å"}),
            }
        )
        for name in ("relaxation_rate", "beta", "baseline", "alpha"):
            for column in (name, f"{name}_error"):
                values = np.full(shape, np.nan)
                values[places] = self.rows[column].to_numpy(float)
                found[column] = (("scan", "group"), values, {"units": self.rows.attrs["units"][column]})
        trusted = np.zeros(shape, bool)
        trusted[places] = self.rows["trusted"].to_numpy(bool)
        return found.assign(trusted=(("scan", "group"), trusted))

    def plot(
        self,
        y: Quantity = "relaxation_rate",
        law: Literal["linear", "power", "arrhenius"] | None = None,
        x_unit: str | None = None,
    ) -> Any:
        """y against x with errors, one colour per q, and the law through it, as a matplotlib figure."""
        from matplotlib import colormaps
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        panel = figure.subplots()
        whole = y in self.scans
        table = self.scans if whole else self.rows
        sets = [(None, table)] if whole else [*table.groupby("group")]
        fits = {one["group"]: one for one in (self._fits(y, law, x_unit) if law else [])}
        for place, (group, own) in enumerate(sets):
            colour = colormaps["viridis"](0.9 * place / max(1, len(sets) - 1))
            q = None if group is None else float(self.groups["q"].iloc[int(group) - 1])
            for sound in (True, False):
                some = own if whole and sound else own.iloc[:0] if whole else own[own["trusted"] == sound]
                label = f"q = {q:.4g} 1/Å" if sound and q is not None else None
                panel.errorbar(
                    some["x"],
                    some[y],
                    some[f"{y}_error"],
                    fmt="o",
                    color=colour,
                    markersize=5,
                    markerfacecolor=colour if sound else "none",
                    linewidth=1,
                    label=label,
                )
            if group in fits:
                panel.plot(fits[group]["x"], fits[group]["y"], color=colour, linewidth=1.4)
        units = [unit if unit != "1" else "" for unit in (self.x["unit"], table.attrs["units"][y])]
        for axis, name, unit in zip("xy", (self.x["name"], SYMBOLS[y]), units, strict=True):
            panel.set(**{f"{axis}label": f"{name} ({unit})" if unit else name})
        if not whole:
            panel.legend(frameon=False, fontsize=8)
        return figure

    def _fits(self, y: str, law: str, x_unit: str | None) -> list[dict[str, Any]]:
        asked = {"y": y, "law": law} | ({} if x_unit is None else {"x_unit": x_unit})
        found: list[dict[str, Any]] = self._ask(asked)["fits"]
        return found


class DynamicsMapTable:
    """ROIs of many scans on the map of dynamics; made by `twotime.client.Client.map`.

    Parameters
    ----------
    found : the answer of ``GET /api/v1/series/map``

    Attributes
    ----------
    dots : one row per scan and ROI: map_x, map_y, their errors, distance from earlier scans of the sample, and the
        numbers of the ROI; ``attrs["units"]`` has the unit of each column
    scans : one row per scan: distance, unlike
    sentences : one for each scan that is unlike the earlier ones of its sample
    """

    def __init__(self, found: dict[str, Any]) -> None:
        self.dots, self.scans = _table(found["dots"]), _table(found["scans"])
        self.sentences: list[str] = found["sentences"]
        self.without_place: int = found["without_place"]

    def __repr__(self) -> str:
        unlike = f", {len(self.sentences)} scans unlike the earlier ones" if self.sentences else ""
        return f"<map of {len(self.dots)} ROIs of {len(self.scans)} scans{unlike}>"

    def plot(self, colour: str = "relaxation_rate") -> Any:
        """The map as a matplotlib figure, coloured by a column of numbers; rates on a logarithmic scale."""
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.6, 4.8), layout="constrained")
        panel = figure.subplots()
        own = self.dots[self.dots[colour].notna()]
        norm = LogNorm() if colour == "relaxation_rate" else None
        points = panel.scatter(own["map_x"], own["map_y"], c=own[colour].to_numpy(float), s=22, norm=norm)
        unit = self.dots.attrs["units"][colour]
        figure.colorbar(points, label=colour.replace("_", " ") + ("" if unit == "1" else f" ({unit})"))
        unlike = set(self.scans.loc[self.scans["unlike"].astype(bool), "analysis_id"])
        far = self.dots[self.dots["analysis_id"].isin(unlike)]
        panel.plot(far["map_x"], far["map_y"], "o", markersize=10, markerfacecolor="none", color="crimson")
        panel.set(xlabel="first latent coordinate", ylabel="second latent coordinate", title=repr(self)[1:-1])
        return figure


def _table(columns: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(columns["columns"])
    numbers = [name for name in table if table[name].dtype == object and table[name].isna().all()]
    table = table.astype(dict.fromkeys(numbers, float))
    table.attrs = {"units": columns["units"]}
    return table
