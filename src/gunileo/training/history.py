"""How a training went, epoch by epoch: a CSV and its picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from gunileo.util.files import whole


def record(path: Path, row: dict[str, float]) -> list[dict[str, float]]:
    """Add a row to a CSV of epochs, in place of any of the same or a later epoch, and return all rows."""
    rows: list[dict[str, float]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in old.items()} for old in csv.DictReader(file)]
    rows = [old for old in rows if old["epoch"] < row["epoch"]] + [row]
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def draw(rows: Sequence[dict[str, float]], path: Path) -> None:
    """The learning curve as a PNG: losses above, error rates below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True)
    epochs = [row["epoch"] for row in rows]
    for axis, names in ((losses, ("train_loss", "val_loss")), (rates, ("val_wer", "val_cer"))):
        for name in names:
            axis.plot(epochs, [row[name] for row in rows], label=name.replace("_", " "))
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend()
    rates.set_xlabel("epoch")
    with whole(path) as part:
        figure.savefig(part, dpi=110, format="png")
