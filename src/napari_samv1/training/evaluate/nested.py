"""Score of nested scenes: one click's masks as part, object and group, settled by a second click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.prompts import Prompts
from napari_samv1.training.evaluate.images import TestImage
from napari_samv1.training.evaluate.objects import iou
from napari_samv1.training.prompting import deepest
from napari_samv1.training.scenes.scene import GROUP, OBJECT, PART

LEVELS = (PART, OBJECT, GROUP)
SMALLEST = 30
Spot = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """Mean IoU of masks with the nested things under a click: columns are part, object, group.

    ``masks`` has a row for each of masks 1 to 3, ``best`` is the best of them for each click and ``chosen``
    the one that the default rule takes. ``grown`` and ``cut`` are of its mask after a second click, in the
    object beside the part: a positive click, which means the object, or a negative one, which means the part.
    Not all of the ``clicks`` lie in a group.
    """

    clicks: int
    masks: NDArray[np.float64]
    best: NDArray[np.float64]
    chosen: NDArray[np.float64]
    grown: NDArray[np.float64]
    cut: NDArray[np.float64]

    def table(self) -> str:
        """Markdown table of all values."""
        rows = [
            "| a click in a part | with the part | with the object | with the group |",
            "|---|" + 3 * "---:|",
        ]
        named = [
            *((f"mask {i + 1}", row) for i, row in enumerate(self.masks)),
            ("best of 3", self.best),
            ("chosen", self.chosen),
            ("chosen, with a positive click beside the part", self.grown),
            ("chosen, with a negative click beside the part", self.cut),
        ]
        for name, row in named:
            rows.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
        return "\n".join(rows)


def ambiguity(predictor: Predictor, tests: Sequence[TestImage]) -> Ambiguity:
    """Click into every part of scenes with ``levels``, and once more beside it.

    Raises
    ------
    ValueError
        If no scene has a part that is large enough.
    """
    first: list[list[NDArray[np.float64]]] = []
    second: list[NDArray[np.float64]] = []
    for test in tests:
        spots = [] if test.levels is None else _parts(test.levels)
        if test.levels is None or not spots:
            continue
        embedding = predictor.embed(test.image)
        clicked = predictor.predict_each(embedding, [Prompts([spot], [1]) for spot, _ in spots])
        settled = predictor.answer_each(
            embedding, [Prompts(pair, [1, sign]) for pair in spots for sign in (1, 0)]
        )
        for (spot, _), answer, grown, cut in zip(spots, clicked, settled[::2], settled[1::2], strict=True):
            wanted = [_at(test.levels[level], spot) for level in LEVELS]
            first.append([_ious(answer.mask(i), wanted) for i in (1, 2, 3)])
            second.append(np.stack([_ious(one.mask(one.best()), wanted) for one in (answer, grown, cut)]))
    if not first:
        raise ValueError("expected scenes with parts, got none; give scenes of the kind 'nested'")
    all_masks = np.array(first)  # clicks 3 3
    chosen, grown_ious, cut_ious = np.nanmean(np.array(second), axis=0)
    return Ambiguity(
        clicks=len(first),
        masks=np.nanmean(all_masks, axis=0),
        best=np.nanmean(all_masks.max(axis=1), axis=0),
        chosen=chosen,
        grown=grown_ious,
        cut=cut_ious,
    )


def _parts(levels: NDArray[np.uint16]) -> list[tuple[Spot, Spot]]:
    """The deepest pixel of every part that lies in an object, and that of the object without its parts."""
    spots = []
    for label, bounds in enumerate(ndimage.find_objects(levels[PART].astype(np.int32)), 1):
        if bounds is None:
            continue
        mask = levels[PART][bounds] == label
        if mask.sum() < SMALLEST:
            continue
        spot = deepest(levels[PART] == label)
        whole = levels[OBJECT][spot]
        beside = (levels[OBJECT] == whole) & (levels[PART] == 0)
        if whole and beside.sum() >= SMALLEST:
            spots.append((spot, deepest(beside)))
    return spots


def _ious(shown: NDArray[np.bool_], wanted: list[NDArray[np.bool_] | None]) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else iou(shown, one) for one in wanted])


def _at(plane: NDArray[np.uint16], spot: tuple[int, int]) -> NDArray[np.bool_] | None:
    return plane == plane[spot] if plane[spot] else None
