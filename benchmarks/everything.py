"""Everything in a photograph: the published generator and ours, the same points, weights and masks."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import ROOT, fresh, in_turns, peak_beyond, ratio, table
from napari_samv1 import Predictor, Preparation, load_model, segment_everything

SIDE = 384
PREPARATION = Preparation(side=SIDE, sizing="padded", mean=(0, 0, 0), std=(255, 255, 255))
# the bundled model trusts its masks less than the published one does
THRESHOLDS = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.6}

PHOTOGRAPHS = ("astronaut", "retina")
"""Of scikit-image: 512 x 512 and 1411 x 1411 pixels, RGB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=16, help="along each side, for the times")
    parser.add_argument("--memory-points", type=int, default=32)
    parser.add_argument("--child", nargs=2, metavar=("CASE", "POINTS"))
    chosen = parser.parse_args()
    if chosen.child:
        case, points = chosen.child
        photograph, name = case.split(":")
        work = generator(photograph, name, int(points))
        print(json.dumps(peak_beyond(work)))
        return
    print(compare(chosen.rounds, chosen.points, chosen.memory_points))


def compare(rounds: int, points: int, memory_points: int) -> str:
    """The Markdown section."""
    rows = []
    for photograph in PHOTOGRAPHS:
        cases = {name: generator(photograph, name, points) for name in ("ours", "published")}
        seconds = in_turns(cases, rounds)
        own, theirs, equal = same_masks(cases["ours"](), cases["published"]())
        memory = {name: fresh("everything", f"{photograph}:{name}", memory_points) for name in cases}
        rows.append(
            (
                photograph,
                *(f"{median(seconds[name]):.1f}" for name in cases),
                f"{ratio(seconds['published'], seconds['ours']):.1f}",
                *(f"{memory[name]:.0f}" for name in cases),
                f"{own}, {theirs}, {equal}",
            )
        )
    head = (
        "photograph",
        f"ours, s for {points**2} points",
        "published",
        "times as fast",
        f"ours, MB for {memory_points**2} points",
        "published",
        "masks: ours, published, equal",
    )
    return table(head, rows)


def generator(photograph: str, name: str, points: int) -> Any:
    """A function that finds everything in a photograph."""
    from skimage import data

    predictor = Predictor(load_model("tiny", device="cpu", dtype="float32", preparation=PREPARATION))
    image = getattr(data, photograph)()
    settings: dict[str, Any] = {"points_per_side": points, **THRESHOLDS}
    if name == "ours":
        return lambda: segment_everything(predictor, image, mode="grid", sizing="padded", **settings)
    import pytest

    sys.path.insert(0, str(ROOT / "tests"))
    published_generator = import_module("published").published_generator
    with pytest.MonkeyPatch.context() as patch:
        published = published_generator(predictor.model, patch, **settings)
    return lambda: published.generate(image)


def same_masks(ours: Any, theirs: Any) -> tuple[int, int, int]:
    """How many masks each found, and how many of them are equal pixel for pixel."""
    own = [one.crop.to_mask(ours.image_hw) for one in ours.objects]
    equal = sum(any(np.array_equal(mask, record["segmentation"]) for mask in own) for record in theirs)
    return len(own), len(theirs), equal


if __name__ == "__main__":
    main()
