"""Losses of a training, as a table and as a picture."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

TRAINING_COLOUR, VALIDATION_COLOUR = "#7a7a7a", "#c2410c"


def losses_table(history: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per epoch and model: training and validation cost (Eq. 8), validation MSE of the 1TCF."""
    rows = pd.concat([pd.DataFrame({**row, "epoch": row["epoch"]}) for row in history], ignore_index=True)
    return rows[["epoch", "model", "training_cost", "validation_cost", "validation_one_time"]]


def losses_picture(history: list[dict[str, Any]]) -> bytes:
    """Draw the costs of all models over the epochs, as a PNG picture."""
    table = losses_table(history)
    figure = Figure(figsize=(10, 4), layout="constrained")
    cost, one_time = figure.subplots(1, 2)
    for panel, column, colour in (
        (cost, "training_cost", TRAINING_COLOUR),
        (cost, "validation_cost", VALIDATION_COLOUR),
        (one_time, "validation_one_time", VALIDATION_COLOUR),
    ):
        for number, (_, own) in enumerate(table.groupby("model")):
            label = column.replace("_", " ") if number == 0 else None
            panel.plot(own["epoch"], own[column], color=colour, linewidth=0.8, alpha=0.6, label=label)
    for panel, column in ((cost, "validation_cost"), (one_time, "validation_one_time")):
        low, high = np.quantile(table[column], [0.0, 0.9])
        panel.set(
            xlabel="epoch",
            ylim=(min(low, table["training_cost"].min()) * 0.9 if panel is cost else low * 0.95, high * 1.2),
        )
        panel.spines[["top", "right"]].set_visible(False)
    cost.set(ylabel="cost (Eq. 8)", title="both correlation functions")
    one_time.set(ylabel="mean squared error", title="one-time correlation function, validation")
    cost.legend(frameon=False)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()
