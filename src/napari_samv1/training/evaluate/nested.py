"""Whether the three masks of one click mean the part, the object and the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_samv1.engine.predictor import Predictor
from napari_samv1.prompts import Prompts
from napari_samv1.training.evaluate.images import TestImage
from napari_samv1.training.evaluate.objects import iou
from napari_samv1.training.prompting import deepest
from napari_samv1.training.scenes.scene import GROUP, OBJECT, PART

LEVELS = (PART, OBJECT, GROUP)
SMALLEST = 30


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """Mean IoU of masks with what was clicked, as it is nested: columns are part, object, group.

    ``masks`` has a row for each of masks 1 to 3, ``best`` is the best of them for each click and ``chosen``
    the one that the default rule takes. Of the ``clicks``, not all lie in a group.
    """

    clicks: int
    masks: NDArray[np.float64]
    best: NDArray[np.float64]
    chosen: NDArray[np.float64]

    def table(self) -> str:
        """The same as Markdown."""
        rows = [
            "| a click in a part | with the part | with the object | with the group |",
            "|---|" + 3 * "---:|",
        ]
        named = [*((f"mask {i + 1}", row) for i, row in enumerate(self.masks))]
        for name, row in [*named, ("best of 3", self.best), ("chosen", self.chosen)]:
            rows.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
        return "\n".join(rows)


def ambiguity(predictor: Predictor, tests: Sequence[TestImage]) -> Ambiguity:
    """Click into every part of scenes whose ``levels`` are known.

    Raises
    ------
    ValueError
        If no scene has a part that is large enough.
    """
    masks, chosen = [], []
    for test in tests:
        if test.levels is None:
            continue
        spots = _parts(test.levels)
        if not spots:
            continue
        embedding = predictor.embed(test.image)
        for spot, answer in zip(
            spots, predictor.predict_each(embedding, [Prompts([spot], [1]) for spot in spots]), strict=True
        ):
            wanted = [_at(test.levels[level], spot) for level in LEVELS]
            shown = [answer.mask(i) for i in (1, 2, 3)]
            masks.append([[np.nan if w is None else iou(s, w) for w in wanted] for s in shown])
            chosen.append(masks[-1][answer.best() - 1])
    if not masks:
        raise ValueError("expected scenes with parts, got none; give scenes of the kind 'nested'")
    all_masks = np.array(masks)  # clicks 3 3
    return Ambiguity(
        clicks=len(masks),
        masks=np.nanmean(all_masks, axis=0),
        best=np.nanmean(all_masks.max(axis=1), axis=0),
        chosen=np.nanmean(np.array(chosen), axis=0),
    )


def _parts(levels: NDArray[np.uint16]) -> list[tuple[int, int]]:
    """The deepest pixel of every part that lies in an object."""
    spots = []
    for label, bounds in enumerate(ndimage.find_objects(levels[PART].astype(np.int32)), 1):
        if bounds is None:
            continue
        mask = levels[PART][bounds] == label
        y, x = deepest(mask)
        spot = (y + bounds[0].start, x + bounds[1].start)
        if mask.sum() >= SMALLEST and levels[OBJECT][spot]:
            spots.append(spot)
    return spots


def _at(plane: NDArray[np.uint16], spot: tuple[int, int]) -> NDArray[np.bool_] | None:
    return plane == plane[spot] if plane[spot] else None
