"""Prompts decoded on an encoded image: speed and equality, beside the other implementations."""

from __future__ import annotations

import argparse
from functools import partial
from statistics import median

import numpy as np
import torch

from benchmarks.implementations import MAKE, Asked, difference, random_network
from benchmarks.measure import in_turns, ratio, say, table
from napari_samv1.model import VIT_B

SIDE = 1024
NAMES = ("ours", "published", "transformers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    chosen = parser.parse_args()
    print(compare(chosen.rounds, chosen.batch))


def compare(rounds: int, batch: int) -> str:
    """The Markdown section."""
    network = random_network(VIT_B)
    made = {name: MAKE[name](network) for name in NAMES}
    tokens = torch.randn(1, 256, SIDE // 16, SIDE // 16)
    images = {name: one.image(tokens) for name, one in made.items()}
    kinds = {
        "a point": (asked(1, points=1), rounds),
        "a box": (asked(1, boxes=True), rounds),
        "a point and a box": (asked(1, points=1, boxes=True), rounds),
        f"{batch} objects, a point each": (asked(batch, points=1), max(1, rounds // 5)),
    }
    rows = []
    for kind, (prompts, times) in kinds.items():
        say(f"decode {kind}")
        cases = {name: partial(one.decode, images[name], prompts) for name, one in made.items()}
        answers = {name: work() for name, work in cases.items()}
        error = max(
            difference(ours, theirs)
            for ours, theirs in zip(answers["ours"], answers["published"], strict=True)
        )
        seconds = in_turns(cases, times)
        per_object = {name: 1000 * median(own) / len(prompts.labels) for name, own in seconds.items()}
        rows.append(
            (
                kind,
                *(f"{per_object[name]:.1f}" for name in NAMES),
                *(f"{1 / ratio(seconds[name], seconds['ours']):.2f}" for name in NAMES[1:]),
                f"{error:.1e}",
            )
        )
    head = (
        "decode",
        *(f"{name}, ms per object" for name in NAMES),
        "ours / published",
        "ours / transformers",
        "difference",
    )
    return table(head, rows)


def asked(objects: int, *, points: int = 0, boxes: bool = False, side: int = SIDE) -> Asked:
    """Random prompts."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, side, (objects, 2, 2)).astype(np.float32)
    boxes_xyxy = np.concatenate([corners.min(1), corners.max(1)], axis=1) if boxes else None
    points_xy = random.uniform(0, side, (objects, points, 2)).astype(np.float32)
    return Asked(points_xy, np.ones((objects, points), np.int64), boxes_xyxy)


if __name__ == "__main__":
    main()
