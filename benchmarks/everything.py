"""Everything in a photograph: the published generator and ours, the same points, weights and masks."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.measure import ROOT, fresh, in_turns, peak_beyond, ratio, say, table
from napari_samv1 import Predictor, Preparation, load_model, segment_everything

SIDE = 384
PREPARATION = Preparation(side=SIDE, sizing="padded", mean=(0, 0, 0), std=(255, 255, 255))
# the bundled model trusts its masks less than the published one does
THRESHOLDS = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=16, help="along each side, for the times")
    parser.add_argument("--memory-points", type=int, default=32)
    parser.add_argument("--child", nargs=2, metavar=("NAME", "POINTS"))
    chosen = parser.parse_args()
    if chosen.child:
        name, points = chosen.child
        work = generator(name, int(points))
        torch.set_num_threads(2)
        print(json.dumps(peak_beyond(work)))
        return
    print(compare(chosen.rounds, chosen.points, chosen.memory_points))


def compare(rounds: int, points: int, memory_points: int) -> str:
    """The Markdown section."""
    cases = {name: generator(name, points) for name in ("ours", "published")}
    seconds = in_turns(cases, rounds)
    equal = same_masks(cases["ours"](), cases["published"]())
    memory = {name: fresh("everything", name, memory_points) for name in cases}
    rows = [
        (
            name,
            f"{median(seconds[name]):.1f}",
            f"{ratio(seconds['published'], seconds[name]):.1f}",
            f"{memory[name]:.0f}",
        )
        for name in cases
    ]
    head = (
        "generator",
        f"s for {points**2} points",
        "times the published speed",
        f"MB for {memory_points**2}",
    )
    return f"{table(head, rows)}\n\n{equal}"


def photograph() -> Any:
    """872 x 1000 pixels, RGB."""
    from skimage.data import hubble_deep_field

    return hubble_deep_field()


def generator(name: str, points: int) -> Any:
    """A function that finds everything in the photograph."""
    predictor = Predictor(load_model("tiny", device="cpu", dtype="float32", preparation=PREPARATION))
    image = photograph()
    settings: dict[str, Any] = {"points_per_side": points, **THRESHOLDS}
    if name == "ours":
        return lambda: segment_everything(predictor, image, mode="grid", sizing="padded", **settings)
    import pytest

    sys.path.insert(0, str(ROOT / "tests"))
    published_generator = import_module("published").published_generator
    with pytest.MonkeyPatch.context() as patch:
        published = published_generator(predictor.model, patch, **settings)
    return lambda: published.generate(image)


def same_masks(ours: Any, theirs: Any) -> str:
    """How many masks both found, and how many are equal pixel for pixel."""
    hw = ours.image_hw
    own = [one.crop.to_mask(hw) for one in ours.objects]
    equal = sum(any(np.array_equal(mask, record["segmentation"]) for mask in own) for record in theirs)
    say(f"{equal} equal")
    return f"{len(own)} and {len(theirs)} masks, {equal} of them equal pixel for pixel."


if __name__ == "__main__":
    main()
