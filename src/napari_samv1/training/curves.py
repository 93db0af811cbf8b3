"""Curves of a training run: read, thinned, drawn."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHOWN = {
    "point_iou": ("one click", "#1f6fb4"),
    "box_iou": ("a box", "#d1570c"),
    "corrected_iou": ("corrected", "#3a8f3a"),
}
Row = dict[str, float]


def read_curves(path: Path) -> list[Row]:
    """The rows of a run's ``curves.csv`` in the order of their steps, without figures that a step lacks.

    An interrupted run repeats its last steps: the later row of a step counts.
    """
    with path.open(newline="") as file:
        rows = [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]
    by_step = {int(row["step"]): row for row in rows}
    return [by_step[step] for step in sorted(by_step)]


def thinned(rows: Sequence[Row], every: int = 25) -> list[Row]:
    """Means over ``every`` steps, under the last step of each and its time."""
    bins: dict[int, list[Row]] = {}
    for row in rows:
        bins.setdefault(int(row["step"] - 1) // every, []).append(row)
    thin = []
    for some in bins.values():
        names = dict.fromkeys(name for row in some for name in row)
        means = {name: float(np.mean([row[name] for row in some if name in row])) for name in names}
        thin.append({**means, "step": some[-1]["step"], "seconds": some[-1]["seconds"]})
    return thin


def write_curves(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV; missing values stay empty."""
    names = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*names], restval="")
        writer.writeheader()
        writer.writerows({name: f"{value:.5g}" for name, value in row.items()} for row in rows)


def curves_picture(rows: Sequence[Row], path: Path, hw: tuple[int, int] = (360, 800)) -> None:
    """Mean IoU on training scenes by step: a click, a box, corrections; each a running mean of 9 rows."""
    (height, width), margin = hw, 44
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    first, last = rows[0]["step"], rows[-1]["step"]

    def at(step: float, iou: float) -> tuple[float, float]:
        across = (step - first) / max(1.0, last - first)
        return margin + across * (width - 2 * margin), height - margin - iou * (height - 2 * margin)

    for iou in (0, 0.2, 0.4, 0.6, 0.8, 1):
        pen.line([at(first, iou), at(last, iou)], fill="#dddddd")
        pen.text((margin - 26, at(first, iou)[1] - 6), f"{iou:.1f}", fill="black")
    thousand = 1000 if last > 2000 else max(1, int(last) // 4)
    for step in range(thousand, int(last) + 1, thousand):
        pen.text((at(max(step, first), 0)[0] - 12, height - margin + 6), str(step), fill="black")
    pen.text((margin, 12), "mean IoU on training scenes, by step", fill="black")
    for place, (name, (label, colour)) in enumerate(SHOWN.items()):
        seen = [(row["step"], row[name]) for row in rows if name in row]
        pen.text((width - margin - 90, height - margin - 64 + 16 * place), label, fill=colour)
        if len(seen) < 2:
            continue
        reach = min(4, (len(seen) - 1) // 2)
        smooth = [
            (step, float(np.mean([iou for _, iou in seen[max(0, i - reach) : i + reach + 1]])))
            for i, (step, _) in enumerate(seen)
        ]
        pen.line([at(step, iou) for step, iou in smooth], fill=colour, width=2)
    picture.save(path)
