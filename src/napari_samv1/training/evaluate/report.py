"""Scores -> the tables of the README and the calibration picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from napari_samv1.training.evaluate.score import ImageScores

HEADER = "| images | objects | click | best of 3 | box | box ±10 % | 8 corrections | magic wand | beaten |"


def table(groups: Sequence[tuple[str, Sequence[ImageScores]]]) -> str:
    """A Markdown table: mean IoU over all objects of each group of images."""
    rows = [HEADER, "|---|" + "---:|" * 8]
    for name, scores in groups:
        mean = {
            field: float(np.concatenate([getattr(s, field) for s in scores]).mean())
            for field in ("click", "best_of_3", "box", "sloppy_box", "wand")
        }
        last = float(np.concatenate([s.curve[:, -1] for s in scores]).mean())
        beaten = float(np.concatenate([s.click > s.wand for s in scores]).mean())
        count = sum(len(s.click) for s in scores)
        rows.append(
            f"| {name} | {count} | {mean['click']:.2f} | {mean['best_of_3']:.2f} | {mean['box']:.2f} "
            f"| {mean['sloppy_box']:.2f} | {last:.2f} | {mean['wand']:.2f} | {100 * beaten:.0f} % |"
        )
    return "\n".join(rows)


def summary(groups: Sequence[tuple[str, Sequence[ImageScores]]]) -> dict[str, Any]:
    """Every mean as plain numbers, for the model card."""
    result: dict[str, Any] = {}
    for name, scores in groups:
        joined = {
            field: np.concatenate([getattr(s, field) for s in scores])
            for field in (
                "click",
                "best_of_3",
                "box",
                "sloppy_box",
                "wand",
                "hinted",
                "predicted",
                "stability",
                "rough",
                "refined",
            )
        }
        result[name] = {
            **{field: round(float(values.mean()), 4) for field, values in joined.items()},
            "objects": len(joined["click"]),
            "share_over_wand": round(float((joined["click"] > joined["wand"]).mean()), 4),
            **{
                curve: np.concatenate([getattr(s, curve) for s in scores]).mean(axis=0).round(4).tolist()
                for curve in ("curve", "carried")
            },
            "predicted_correlation": _correlation(joined["predicted"], joined["click"]),
            "stability_correlation": _correlation(joined["stability"], joined["click"]),
        }
    return result


def _correlation(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float | None:
    if len(first) < 3 or first.std() == 0 or second.std() == 0:
        return None
    return round(float(np.corrcoef(first, second)[0, 1]), 3)


def calibration_picture(scores: Sequence[ImageScores], path: Path, side: int = 360) -> None:
    """Predicted against true IoU: a dot per object, a line for the mean of each tenth."""
    predicted = np.clip(np.concatenate([s.predicted for s in scores]), 0, 1)
    true = np.concatenate([s.click for s in scores])
    margin = 40
    picture = Image.new("RGB", (side + 2 * margin, side + 2 * margin), "white")
    pen = ImageDraw.Draw(picture)

    def at(x: float, y: float) -> tuple[float, float]:
        return margin + x * side, margin + (1 - y) * side

    pen.rectangle([at(0, 1), at(1, 0)], outline="black")
    pen.line([at(0, 0), at(1, 1)], fill="#bbbbbb")
    for x, y in zip(predicted, true, strict=True):
        px, py = at(float(x), float(y))
        pen.ellipse([px - 2, py - 2, px + 2, py + 2], fill="#7aa6d6")
    tenth = np.minimum((predicted * 10).astype(int), 9)
    line = [
        at(float(predicted[tenth == i].mean()), float(true[tenth == i].mean()))
        for i in range(10)
        if (tenth == i).sum() >= 5
    ]
    if len(line) > 1:
        pen.line(line, fill="#d1570c", width=3)
    pen.text((margin, side + margin + 12), "predicted IoU, 0 to 1", fill="black")
    pen.text((margin, 14), "true IoU, 0 to 1", fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
